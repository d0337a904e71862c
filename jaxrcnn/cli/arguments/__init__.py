"""The arguments of every command. Nothing here loads jax or numpy, so that --help is quick."""

FIELDS = (
    "--config.FIELD VALUE sets a field of the config; `jaxrcnn train --help-all` lists the fields."
)
"""The end of the help of a command with `TAKES_FIELDS`."""

CONFIG = (
    "name of a config (`jaxrcnn configs` lists them), a Python file with get_config() -> Config, "
    "or the config.json of a run or a model"
)
"""The help of an option that is a config."""

PREDICTION_FIELDS = (
    "--config.FIELD VALUE, at the end, changes a field that the weights do not depend on: those of "
    "model.detections (such as score_threshold, nms_iou and max_detections), the test settings of "
    "model.proposals, data.short_side and data.long_side."
)
"""The same where only a trained model is used."""
