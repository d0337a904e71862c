"""The detector's steps, on the records of jaxrcnn.types."""
