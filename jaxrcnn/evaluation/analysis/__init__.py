"""Why a score is what it is: kinds of errors, confusions, curves, calibration, stages."""
