// Prints each track that has ended: node tracks.mjs veil.proto (npm install kafkajs protobufjs)
import { readFileSync } from "node:fs";
import kafkajs from "kafkajs";
import protobuf from "protobufjs";

const TrackRecord = protobuf.loadSync(process.argv[2]).lookupType("veil.v1.TrackRecord");
const env = process.env;
const kafka = new kafkajs.Kafka({
  brokers: env.VEIL_KAFKA_BOOTSTRAP.split(","),
  ssl: { ca: readFileSync(env.VEIL_KAFKA_CA_FILE) },
  sasl: {
    mechanism: "scram-sha-512",
    username: env.VEIL_KAFKA_USERNAME,
    password: readFileSync(env.VEIL_KAFKA_PASSWORD_FILE, "utf8").split("\n")[0],
  },
});
const consumer = kafka.consumer({ groupId: "analytics-node" }); // begins with the user's name
await consumer.connect();
await consumer.subscribe({ topic: "metadata.tracks", fromBeginning: true });
await consumer.run({
  eachMessage: async ({ message }) => {
    const record = TrackRecord.decode(message.value);
    const track = TrackRecord.toObject(record, { enums: String, longs: Number, defaults: true });
    if (track.ended) console.log(track.cameraId, track.kind, track.dwellS.toFixed(1), "s", track.zones);
  },
});
