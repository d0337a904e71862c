"""What TensorBoard reads."""


def events(folder):
    """The events of a run's folder, in order.

    Each record is a length (8 bytes), its checksum (4), an Event, and its checksum (4).
    """
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found
