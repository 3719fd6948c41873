"""Prints each track that has ended: who was how long in front of which camera, without knowing who."""

import os
from pathlib import Path

from kafka import KafkaConsumer
from veil.v1 import veil_pb2 as pb

consumer = KafkaConsumer(
    "metadata.tracks",
    bootstrap_servers=os.environ["VEIL_KAFKA_BOOTSTRAP"],
    security_protocol="SASL_SSL",
    ssl_cafile=os.environ["VEIL_KAFKA_CA_FILE"],
    sasl_mechanism="SCRAM-SHA-512",
    sasl_plain_username=os.environ["VEIL_KAFKA_USERNAME"],
    sasl_plain_password=Path(os.environ["VEIL_KAFKA_PASSWORD_FILE"]).read_text().strip(),
    group_id="analytics-dwell",  # begins with the user's name
    auto_offset_reset="earliest",
)
for record in consumer:
    track = pb.TrackRecord.FromString(record.value)
    if track.ended:
        print(track.camera_id, pb.Kind.Name(track.kind), f"{track.dwell_s:.1f} s", list(track.zones), flush=True)
