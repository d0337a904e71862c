"""Pictures and boxes from disk or drawn, as batches."""
