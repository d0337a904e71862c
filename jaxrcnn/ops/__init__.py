"""Numbers in, numbers out: boxes, anchors, matching, sampling, NMS and RoI ops of one image."""
