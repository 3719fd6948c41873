-- veil.jar holds the classes that `protoc --java_out` makes of veil.proto; beside it lie flink-protobuf and the
-- Kafka connector.
CREATE TABLE tracks (
  camera_id STRING, epoch BIGINT, track_id BIGINT, kind STRING, last_us BIGINT, dwell_s FLOAT, ended BOOLEAN,
  zones ARRAY<STRING>,
  at AS TO_TIMESTAMP_LTZ(last_us / 1000, 3),
  WATERMARK FOR at AS at - INTERVAL '1' MINUTE
) WITH (
  'connector' = 'kafka',
  'topic' = 'metadata.tracks',
  'properties.bootstrap.servers' = 'kafka.example:9093',
  'properties.group.id' = 'analytics-flink',
  'properties.security.protocol' = 'SASL_SSL',
  'properties.ssl.truststore.type' = 'PEM',
  'properties.ssl.truststore.location' = '/etc/veil/ca.pem',
  'properties.sasl.mechanism' = 'SCRAM-SHA-512',
  'properties.sasl.jaas.config' =
    'org.apache.kafka.common.security.scram.ScramLoginModule required username="analytics" password="SECRET";',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'protobuf',
  'protobuf.message-class-name' = 'veil.v1.Veil$TrackRecord'
);
SELECT window_start, camera_id, kind,
  COUNT(DISTINCT CAST(epoch AS STRING) || '/' || CAST(track_id AS STRING)) AS tracks
FROM TABLE(TUMBLE(TABLE tracks, DESCRIPTOR(at), INTERVAL '1' MINUTE))
WHERE ended
GROUP BY window_start, window_end, camera_id, kind;
