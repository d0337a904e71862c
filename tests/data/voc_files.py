"""A small folder in Pascal VOC's format, from the contents of its XML files."""

from PIL import Image

SIZE = "<size><width>40</width><height>30</height><depth>3</depth></size>"


def item(name="dog", corners=(2, 3, 10, 20), difficult=""):
    """An object as XML."""
    keys = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, corners, strict=True))
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    return f"<object>{part}<name>{name}</name>{difficult}<bndbox>{box}</bndbox></object>"


def write(root, pages, split="train", lines=None):
    """Write XML files (by their names; what begins with "!" as it is), images and a list."""
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for stem, content in pages.items():
        page = content[1:] if content.startswith("!") else f"<annotation>{content}</annotation>"
        (root / "Annotations" / f"{stem}.xml").write_text(page)
        Image.new("RGB", (40, 30)).save(root / "JPEGImages" / f"{stem}.jpg")
    listed = list(pages) if lines is None else lines
    (root / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(listed) + "\n\n")
