"""Average precision by COCO's and VOC's protocols, and the recall of proposals."""
