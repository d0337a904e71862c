"""Small folders of text files and images, for the tests of what reads them."""

from PIL import Image


def write(root, files, images=(), size=(40, 30)):
    """Write files (text or bytes by their paths), and black images of a size (width, height)."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for name in images:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path)
    return str(root)


def boxes_of(dataset):
    """Names of the images, and of each box its class and corners."""
    return {
        record.name: [
            (dataset.class_names[label - 1], *corners)
            for label, corners in zip(record.labels, record.boxes.tolist(), strict=True)
        ]
        for record in dataset.records
    }
