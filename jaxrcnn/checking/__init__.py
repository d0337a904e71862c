"""What is wrong with a data set, and what there is to know of it, before it is trained on."""
