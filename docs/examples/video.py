"""Decodes the redacted video of one camera, live: python video.py CAMERA."""

import os
import sys
from pathlib import Path

import av
from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2
from veil.v1 import veil_pb2 as pb

camera = sys.argv[1].encode()
consumer = KafkaConsumer(
    bootstrap_servers=os.environ["VEIL_KAFKA_BOOTSTRAP"],
    security_protocol="SASL_SSL",
    ssl_cafile=os.environ["VEIL_KAFKA_CA_FILE"],
    sasl_mechanism="SCRAM-SHA-512",
    sasl_plain_username=os.environ["VEIL_KAFKA_USERNAME"],
    sasl_plain_password=Path(os.environ["VEIL_KAFKA_PASSWORD_FILE"]).read_text().strip(),
    auto_offset_reset="latest",  # or "earliest"; no group: everyone who looks on sees everything
    max_partition_fetch_bytes=16 * 1024 * 1024,
)
partitions = consumer.partitions_for_topic("video.redacted")
consumer.assign([TopicPartition("video.redacted", (murmur2(camera) & 0x7FFFFFFF) % len(partitions))])

decoder, newest = None, (0, -1)
for record in consumer:
    message = pb.RedactedMessage.FromString(record.value)
    if record.key != camera or not message.HasField("unit"):
        continue  # another camera of the partition, sound, or the end of an epoch
    unit = message.unit
    if (unit.epoch, unit.seq) <= newest:
        continue  # sent twice after a restart
    if decoder is None or unit.epoch != newest[0]:
        if not unit.keyframe:
            continue  # a decoder starts at a keyframe
        decoder = av.CodecContext.create("h264", "r")
    newest = unit.epoch, unit.seq
    for frame in decoder.decode(av.Packet(unit.payload)):
        picture = frame.to_ndarray(format="bgr24")  # height × width × 3, for OpenCV or a model
        print(unit.epoch, unit.seq, "closed" if unit.closed else "open", picture.shape, flush=True)
