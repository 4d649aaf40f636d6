// SPDX-License-Identifier: Apache-2.0
// Kafka's producer with transactions, as alice, who may write PREFIX... and the transactional ids of that beginning. In
// version 2 (KIP-890) each end of a transaction raises the producer's epoch; in version 1 it stays.
// Arguments: the gateway, everybody's password, the prefix. Prints "ok NAME" per step; any failure ends it.

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

public class Transactions {
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

    static int epoch(Admin admin, String id) throws Exception {
        return admin.describeTransactions(List.of(id)).description(id).get().producerEpoch();
    }

    public static void main(String[] args) throws Exception {
        String topic = args[2] + "a", id = args[2] + "java", group = "g-" + args[2];
        TopicPartition partition = new TopicPartition(topic, 0);
        Properties p = settings(args, "alice");
        p.put("transactional.id", id);
        Properties c = settings(args, "alice");
        c.put("group.id", group);
        c.put("isolation.level", "read_committed");
        c.put("auto.offset.reset", "earliest");
        try (var producer = new KafkaProducer<String, String>(p); var admin = Admin.create(settings(args, "alice"));
             var consumer = new KafkaConsumer<String, String>(c)) {
            producer.initTransactions();
            int first = epoch(admin, id);
            for (String value : List.of("one", "aborted", "two")) {
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, value)).get();
                if (value.equals("aborted")) producer.abortTransaction();
                else producer.commitTransaction();
            }
            check(epoch(admin, id) >= first + 3, epoch(admin, id) + " after " + first);
            System.out.println("ok transactions of version 2");
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(1)), consumer.groupMetadata());
            producer.commitTransaction();
            OffsetAndMetadata committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
                    .get(partition);
            check(committed != null && committed.offset() == 1, committed);
            System.out.println("ok offsets in a transaction");
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            List<String> values = new ArrayList<>();
            for (int i = 0; i < 100 && values.size() < 2; i++)
                consumer.poll(Duration.ofMillis(300)).forEach(r -> values.add(r.value()));
            check(values.equals(List.of("one", "two")), values);
            System.out.println("ok what was committed is read");
        }
        System.out.println("all steps passed");
    }
}
