"""python -m jaxrcnn ..."""
