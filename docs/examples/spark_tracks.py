"""Counts finished tracks per camera, kind and minute with Spark Structured Streaming."""

import os

from pyspark.sql import SparkSession
from pyspark.sql.functions import count, timestamp_micros, window
from pyspark.sql.protobuf.functions import from_protobuf

spark = SparkSession.builder.appName("tracks").getOrCreate()
records = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", os.environ["VEIL_KAFKA_BOOTSTRAP"])
    .option("kafka.security.protocol", "SASL_SSL")
    .option("kafka.ssl.truststore.type", "PEM")
    .option("kafka.ssl.truststore.location", os.environ["VEIL_KAFKA_CA_FILE"])
    .option("kafka.sasl.mechanism", "SCRAM-SHA-512")
    .option("kafka.sasl.jaas.config", os.environ["VEIL_KAFKA_JAAS"])  # the line of client.properties
    .option("groupIdPrefix", "analytics-spark")  # begins with the user's name
    .option("subscribe", "metadata.tracks")
    .option("startingOffsets", "earliest")
    .load()
)
tracks = records.select(from_protobuf("value", "veil.v1.TrackRecord", "veil.desc").alias("track")).select("track.*")
counts = (
    tracks.where("ended")
    .withColumn("at", timestamp_micros("last_us"))
    .withWatermark("at", "10 minutes")
    .dropDuplicatesWithinWatermark(["camera_id", "epoch", "track_id"])  # a restart may send a track again
    .groupBy(window("at", "1 minute"), "camera_id", "kind")
    .agg(count("*").alias("tracks"))
)
counts.writeStream.outputMode("update").format("console").start().awaitTermination()
