"""Average precision by COCO's and VOC's protocols."""
