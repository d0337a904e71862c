"""What runs are compared in."""

SCORES = ("AP", "AP50", "AP75", "AR100", "recall50", "recall70")
"""Names of `jaxrcnn.study.results.Point.scores`, the primary one first; the last two are the recall
of the proposals at IoU 0.5 and 0.7."""
