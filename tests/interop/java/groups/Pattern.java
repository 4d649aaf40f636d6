// SPDX-License-Identifier: Apache-2.0
// Kafka's consumer subscribes by pattern (KIP-848), as alice, who may read PREFIXa... and PREFIXb... but not PREFIXsecret.
// Arguments: the gateway, everybody's password, the prefix. Prints "ok NAME" per step; any failure ends it.

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

public class Pattern {
    static final int FOUND_MS = 60000, QUIET_MS = 8000;

    static Properties settings(String[] args, String user) {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("security.protocol", "SASL_PLAINTEXT");
        p.put("sasl.mechanism", "PLAIN");
        p.put("sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"" + user
                + "\" password=\"" + args[1] + "\";");
        String strings = "org.apache.kafka.common.serialization.String";
        for (String what : List.of("key", "value")) {
            p.put(what + ".serializer", strings + "Serializer");
            p.put(what + ".deserializer", strings + "Deserializer");
        }
        return p;
    }

    static void check(boolean holds, Object what) {
        if (!holds) throw new AssertionError(what);
    }

    static void produce(String[] args, String... topics) throws Exception {
        try (var producer = new KafkaProducer<String, String>(settings(args, "admin"))) {
            for (String topic : topics) producer.send(new ProducerRecord<>(topic, topic)).get();
        }
    }

    static void readUntil(KafkaConsumer<String, String> consumer, Set<String> topics) {
        Set<String> seen = new TreeSet<>();
        long until = System.currentTimeMillis() + FOUND_MS;
        while (!seen.equals(topics)) {
            check(System.currentTimeMillis() < until, seen + " of " + topics);
            consumer.poll(Duration.ofMillis(500)).forEach(r -> seen.add(r.topic()));
            check(topics.containsAll(seen), seen);
        }
    }

    static double requests(KafkaConsumer<String, String> consumer) {
        return consumer.metrics().entrySet().stream()
                .filter(m -> m.getKey().name().equals("request-total") && m.getKey().group().equals("consumer-metrics"))
                .mapToDouble(m -> (double) m.getValue().metricValue()).sum();
    }

    public static void main(String[] args) throws Exception {
        String prefix = args[2];
        Properties p = settings(args, "alice");
        p.put("group.id", "g-java-" + prefix);
        p.put("group.protocol", "consumer");
        p.put("auto.offset.reset", "earliest");
        produce(args, prefix + "a", prefix + "secret");
        try (var consumer = new KafkaConsumer<String, String>(p); var admin = Admin.create(settings(args, "admin"))) {
            consumer.subscribe(new SubscriptionPattern(prefix + ".*"));
            readUntil(consumer, Set.of(prefix + "a"));
            System.out.println("ok what it may read");
            double before = requests(consumer);
            long until = System.currentTimeMillis() + QUIET_MS;
            while (System.currentTimeMillis() < until) consumer.poll(Duration.ofMillis(200));
            double more = requests(consumer) - before; // most are fetches that wait for half a second
            check(more > 0 && more < 20 * QUIET_MS / 1000.0, more);
            System.out.println("ok quiet: " + more);
            admin.createTopics(List.of(new NewTopic(prefix + "b", 1, (short) 1))).all().get();
            produce(args, prefix + "b");
            readUntil(consumer, Set.of(prefix + "b"));
            System.out.println("ok a new topic");
        }
        System.out.println("all steps passed");
    }
}
