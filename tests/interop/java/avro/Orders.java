// SPDX-License-Identifier: Apache-2.0
// Java's own way: Spring's client registers, Apache Avro encodes and decodes, Kafka's client carries the records through
// the gateway. Arguments: the registry's address, the CA file, and the client properties and password of a user.
// Prints "ok NAME" per step; any failure ends it.

import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.net.Authenticator;
import java.net.PasswordAuthentication;
import java.net.http.HttpClient;
import java.nio.ByteBuffer;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.springframework.cloud.stream.schema.registry.SchemaReference;
import org.springframework.cloud.stream.schema.registry.client.ConfluentSchemaRegistryClient;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.web.client.RestTemplate;

public class Orders {
    static final String ORDER = "{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"shop\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"}%s]}";
    static final Schema FIRST = new Schema.Parser().parse(String.format(ORDER, ""));
    static final Schema SECOND = new Schema.Parser().parse(String.format(ORDER, ",{\"name\":\"n\",\"type\":\"int\",\"default\":7}"));
    static final Schema WRONG = new Schema.Parser().parse(String.format(ORDER, ",{\"name\":\"m\",\"type\":\"int\"}"));

    static void check(boolean holds, Object what) {
        if (!holds) throw new AssertionError(what);
    }

    static ConfluentSchemaRegistryClient registry(String address, String ca, String user, String password) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null);
        try (var in = new FileInputStream(ca)) {
            trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, trust.getTrustManagers(), null);
        HttpClient http = HttpClient.newBuilder().sslContext(tls).authenticator(new Authenticator() {
            @Override protected PasswordAuthentication getPasswordAuthentication() {
                return new PasswordAuthentication(user, password.toCharArray());
            }
        }).build();
        var client = new ConfluentSchemaRegistryClient(new RestTemplate(new JdkClientHttpRequestFactory(http)));
        client.setEndpoint(address);
        return client;
    }

    static byte[] framed(int id, GenericRecord record) throws Exception {
        var out = new ByteArrayOutputStream();
        out.write(ByteBuffer.allocate(5).put((byte) 0).putInt(id).array());
        var encoder = EncoderFactory.get().binaryEncoder(out, null);
        new GenericDatumWriter<GenericRecord>(record.getSchema()).write(record, encoder);
        encoder.flush();
        return out.toByteArray();
    }

    static GenericRecord order(Schema schema, long id) {
        var record = new GenericData.Record(schema);
        record.put("id", id);
        if (schema.getField("n") != null) record.put("n", 1);
        return record;
    }

    static void refused(KafkaProducer<byte[], byte[]> producer, String topic, byte[] value) throws Exception {
        try {
            producer.send(new ProducerRecord<>(topic, value)).get();
        } catch (ExecutionException e) {
            check(e.getCause() instanceof InvalidRecordException, e.getCause());
            return;
        }
        throw new AssertionError("a bad record was taken");
    }

    public static void main(String[] args) throws Exception {
        String address = args[0], ca = args[1], password = args[3];
        var config = new Properties();
        try (var in = new FileInputStream(args[2])) { config.load(in); }
        config.keySet().removeIf(key -> key.toString().startsWith("castellan."));
        String topic = "it-java-" + System.currentTimeMillis(), subject = topic + "-value";
        try (Admin admin = Admin.create(config)) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) -1).configs(Map.of("castellan.value.schema.validation", "payload")))).all().get();
        }
        var registry = registry(address, ca, "admin", password);
        int first = registry.register(subject, "avro", FIRST.toString()).getId();
        int second = registry.register(subject, "avro", SECOND.toString()).getId();
        check(first != second && registry.register(subject, "avro", FIRST.toString()).getId() == first, "ids");
        check(registry.fetch(first).equals(FIRST.toString()), registry.fetch(first));
        check(registry.fetch(new SchemaReference(subject, 2, "avro")).equals(SECOND.toString()), "version 2");
        System.out.println("ok register and fetch");
        try {
            registry.register(subject, "avro", WRONG.toString());
            throw new AssertionError("an incompatible schema was taken");
        } catch (RuntimeException e) {
            check(e.toString().contains("409"), e);
        }
        System.out.println("ok an incompatible schema gets 409");
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
             var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            producer.send(new ProducerRecord<>(topic, framed(first, order(FIRST, 42)))).get();
            producer.send(new ProducerRecord<>(topic, framed(second, order(SECOND, 43)))).get();
            refused(producer, topic, "garbage".getBytes());
            refused(producer, topic, framed(second, order(FIRST, 44)));
            var partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            var seen = new StringBuilder();
            for (long until = System.nanoTime() + 30_000_000_000L; System.nanoTime() < until && consumer.position(partition) < 2;) {
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    var bytes = ByteBuffer.wrap(record.value());
                    check(bytes.get() == 0, "magic");
                    Schema writer = new Schema.Parser().parse(registry.fetch(bytes.getInt()));
                    var decoder = DecoderFactory.get().binaryDecoder(record.value(), 5, record.value().length - 5, null);
                    seen.append(new GenericDatumReader<GenericRecord>(writer, SECOND).read(null, decoder));
                }
            }
            check(seen.toString().equals("{\"id\": 42, \"n\": 7}{\"id\": 43, \"n\": 1}"), seen);
        }
        System.out.println("ok records through the gateway");
        System.out.println("all steps passed");
        System.exit(0);
    }
}
