// SPDX-License-Identifier: Apache-2.0

// franz-go against gateway and registry: every call of its registry client, then records of its serializer through the
// gateway. Argument: where things are, as JSON. Prints "ok NAME" per step; any failure ends it.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"github.com/twmb/franz-go/pkg/sr"
)

var where struct {
	Broker, Registry, Ca string
	Passwords            map[string]string
}

var (
	ctx  = context.Background()
	run  = fmt.Sprintf("%x", time.Now().UnixMilli())
	conf *tls.Config
)

const (
	order  = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"}]}`
	order2 = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"},{"name":"n","type":"int","default":0}]}`
	wrong  = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"string"}]}`
	city   = `{"type":"record","name":"City","namespace":"shop","fields":[{"name":"city","type":"string"}]}`
	home   = `{"type":"record","name":"Home","namespace":"shop","fields":[{"name":"home","type":"shop.City"}]}`
)

func name(what string) string { return "it-go-" + what + "-" + run }

func fail(format string, args ...any) {
	fmt.Printf("FAILED "+format+"\n", args...)
	os.Exit(1)
}

func must[T any](v T, err error) T {
	if err != nil {
		fail("%v", err)
	}
	return v
}

func equal(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		fail("%s: got %+v, want %+v", what, got, want)
	}
}

// The error must be the registry's answer with this code.
func refused(what string, err error, code int, text string) {
	var e *sr.ResponseError
	if !errors.As(err, &e) || e.ErrorCode != code || !strings.Contains(e.Message, text) {
		fail("%s: got %v, want code %d with %q", what, err, code, text)
	}
}

func ok(step string) { fmt.Println("ok " + step) }

func registryAs(user string, more ...sr.ClientOpt) *sr.Client {
	opts := []sr.ClientOpt{sr.URLs(where.Registry), sr.DialTLSConfig(conf), sr.BasicAuth(user, where.Passwords[user])}
	return must(sr.NewClient(append(opts, more...)...))
}

func avro(text string) sr.Schema { return sr.Schema{Schema: text, Type: sr.TypeAvro} }

func main() {
	if err := json.Unmarshal([]byte(os.Args[1]), &where); err != nil {
		fail("%v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(must(os.ReadFile(where.Ca))) {
		fail("no CA in %s", where.Ca)
	}
	conf = &tls.Config{RootCAs: pool, ServerName: "localhost"}
	schemas()
	references()
	deletes()
	compatibility()
	contracts()
	modes()
	contexts()
	users()
	records()
	fmt.Println("all steps passed")
}

func schemas() {
	cl, subject := registryAs("alice"), name("schemas")
	equal("types", must(cl.SupportedTypes(ctx)), []sr.SchemaType{sr.TypeAvro, sr.TypeProtobuf, sr.TypeJSON})
	first := must(cl.CreateSchema(ctx, subject, avro(order)))
	equal("first version", first.Version, 1)
	second := must(cl.CreateSchema(ctx, subject, avro(order2)))
	equal("second version", second.Version, 2)
	equal("same schema, same id", must(cl.RegisterSchema(ctx, subject, avro(order), -1, -1)), first.ID)
	equal("by id", must(cl.SchemaByID(ctx, first.ID)).Schema, order)
	equal("text by id", must(cl.SchemaTextByID(ctx, first.ID)), order)
	equal("text by version", must(cl.SchemaTextByVersion(ctx, subject, 2)), order2)
	equal("latest", must(cl.SchemaByVersion(ctx, subject, -1)).ID, second.ID)
	equal("by GUID", must(cl.SchemaByGUID(ctx, first.GUID)).Schema.Schema, order)
	equal("ids by GUID", must(cl.SchemaIDsByGUID(ctx, first.GUID)), []sr.ContextID{{Context: ".", ID: first.ID}})
	equal("subjects by id", must(cl.SubjectsByID(ctx, first.ID)), []string{subject})
	equal("versions by id", must(cl.SchemaVersionsByID(ctx, first.ID)), []sr.SubjectVersion{{Subject: subject, Version: 1}})
	equal("versions", must(cl.SubjectVersions(ctx, subject)), []int{1, 2})
	equal("schemas of the subject", len(must(cl.Schemas(ctx, subject))), 2)
	equal("looked up", must(cl.LookupSchema(ctx, subject, avro(order2))).Version, 2)
	page := sr.WithParams(ctx, sr.SubjectPrefix(name("schemas")), sr.Offset(1), sr.Limit(1))
	equal("a page of schemas", must(cl.AllSchemas(page))[0].Version, 2)
	latest := sr.WithParams(ctx, sr.SubjectPrefix(name("schemas")), sr.LatestOnly)
	equal("latest only", len(must(cl.AllSchemas(latest))), 1)
	equal("subjects by prefix", must(cl.Subjects(sr.WithParams(ctx, sr.SubjectPrefix(subject)))), []string{subject})
	shuffled := `{"namespace":"shop","name":"Order","fields":[{"type":"long","name":"id"}],"type":"record"}`
	equal("normalized", must(cl.LookupSchema(sr.WithParams(ctx, sr.Normalize), subject, avro(shuffled))).ID, first.ID)
	_, err := cl.SchemaByVersion(ctx, subject, 9)
	refused("no such version", err, 40402, "Version 9 not found")
	_, err = cl.SchemaByID(ctx, 1000000)
	refused("no such id", err, 40403, "Schema 1000000 not found")
	_, err = cl.SubjectVersions(ctx, name("none"))
	refused("no such subject", err, 40401, "not found")
	_, err = cl.RegisterSchema(ctx, subject, avro(`{"type":"nothing"}`), -1, -1)
	refused("invalid", err, 42201, "Invalid schema")
	_, err = cl.RegisterSchema(ctx, subject, avro(wrong), -1, -1)
	refused("incompatible", err, 409, "incompatible with an earlier schema")
	_, err = cl.LookupSchema(ctx, subject, avro(wrong))
	refused("unknown schema", err, 40403, "Schema not found")
	_, err = cl.RegisterSchema(ctx, subject, avro(order2), 77, 7)
	refused("an id outside IMPORT", err, 42205, "")
	ok("schemas, subjects, ids, GUIDs, pages")
	for kind, text := range map[sr.SchemaType]string{sr.TypeJSON: `{"type":"object"}`,
		sr.TypeProtobuf: "syntax = \"proto3\"; message A { string s = 1; }"} {
		made := must(cl.CreateSchema(ctx, name(kind.String()), sr.Schema{Schema: text, Type: kind}))
		equal(kind.String(), must(cl.SchemaByID(ctx, made.ID)).Type, kind)
	}
	ok("JSON Schema and Protobuf")
}

func references() {
	cl := registryAs("alice")
	cityAt := must(cl.CreateSchema(ctx, name("city"), avro(city)))
	ref := sr.Schema{Schema: home, References: []sr.SchemaReference{{Name: "shop.City", Subject: name("city"), Version: 1}}}
	homeAt := must(cl.CreateSchema(ctx, name("home"), ref))
	equal("references", homeAt.References, ref.References)
	by := must(cl.SchemaReferences(ctx, name("city"), cityAt.Version))
	equal("referenced by", []any{len(by), by[0].Subject}, []any{1, name("home")})
	resolved := must(cl.SchemaTextByID(sr.WithParams(ctx, sr.Format("resolved")), homeAt.ID))
	if !strings.Contains(resolved, `"city"`) {
		fail("not resolved: %s", resolved)
	}
	refused("referenced", registryAs("admin").DeleteSchema(ctx, name("city"), 1, sr.SoftDelete), 42206, "One or more references exist")
	ok("references")
}

func deletes() {
	cl, subject := registryAs("admin"), name("deletes")
	must(cl.CreateSchema(ctx, subject, avro(order)))
	must(cl.CreateSchema(ctx, subject, avro(order2)))
	refused("not soft-deleted first", cl.DeleteSchema(ctx, subject, 1, sr.HardDelete), 40407, "")
	must(0, cl.DeleteSchema(ctx, subject, 1, sr.SoftDelete))
	refused("soft-deleted already", cl.DeleteSchema(ctx, subject, 1, sr.SoftDelete), 40406, "")
	equal("without the deleted", must(cl.SubjectVersions(ctx, subject)), []int{2})
	equal("with the deleted", must(cl.SubjectVersions(sr.WithParams(ctx, sr.ShowDeleted), subject)), []int{1, 2})
	equal("only the deleted", must(cl.SubjectVersions(sr.WithParams(ctx, sr.DeletedOnly), subject)), []int{1})
	must(0, cl.DeleteSchema(ctx, subject, 1, sr.HardDelete))
	_, err := cl.DeleteSubject(ctx, subject, sr.HardDelete)
	refused("subject not soft-deleted first", err, 40405, "was not deleted first before being permanently deleted")
	equal("subject, softly", must(cl.DeleteSubject(ctx, subject, sr.SoftDelete)), []int{2})
	_, err = cl.DeleteSubject(ctx, subject, sr.SoftDelete)
	refused("subject soft-deleted already", err, 40404, "was soft deleted")
	equal("subject, for good", must(cl.DeleteSubject(ctx, subject, sr.HardDelete)), []int{2})
	ok("deletes")
}

func compatibility() {
	cl, subject := registryAs("admin"), name("compat")
	must(cl.CreateSchema(ctx, subject, avro(order)))
	equal("global level", cl.Compatibility(ctx)[0].Level, sr.CompatBackward)
	refused("none of its own", cl.Compatibility(ctx, subject)[0].Err, 40408, "does not have subject-level compatibility configured")
	equal("default to global", cl.Compatibility(sr.WithParams(ctx, sr.DefaultToGlobal), subject)[0].Level, sr.CompatBackward)
	levels := []sr.CompatibilityLevel{sr.CompatNone, sr.CompatBackwardTransitive, sr.CompatForward, sr.CompatForwardTransitive,
		sr.CompatFull, sr.CompatFullTransitive, sr.CompatBackward}
	for _, level := range levels {
		set := cl.SetCompatibility(ctx, sr.SetCompatibility{Level: level}, subject)[0]
		must(0, set.Err)
		equal("level", []any{set.Level, cl.Compatibility(ctx, subject)[0].Level}, []any{level, level})
	}
	rule := sr.SchemaRule{Name: "r", Kind: sr.SchemaRuleKindCondition, Mode: sr.SchemaRuleModeWrite, Type: "CEL", Expr: "true", Tags: []string{"T"}}
	all := sr.SetCompatibility{Level: sr.CompatFull, Normalize: true, Group: "major",
		DefaultMetadata:  &sr.SchemaMetadata{Properties: map[string]string{"a": "b"}},
		OverrideMetadata: &sr.SchemaMetadata{Tags: map[string][]string{"x": {"PII"}}},
		DefaultRuleSet:   &sr.SchemaRuleSet{DomainRules: []sr.SchemaRule{rule}},
		OverrideRuleSet:  &sr.SchemaRuleSet{MigrationRules: []sr.SchemaRule{{Name: "m", Kind: sr.SchemaRuleKindTransform, Mode: sr.SchemaRuleModeUpgrade, Type: "JSONATA", Expr: "$"}}}}
	must(0, cl.SetCompatibility(ctx, all, subject)[0].Err)
	got := cl.Compatibility(ctx, subject)[0]
	must(0, got.Err)
	equal("every field", []any{got.Level, got.Normalize, got.Group, *got.DefaultMetadata, *got.OverrideMetadata, got.DefaultRuleSet.DomainRules,
		got.OverrideRuleSet.MigrationRules[0].Type}, []any{all.Level, true, "major", *all.DefaultMetadata, *all.OverrideMetadata,
		all.DefaultRuleSet.DomainRules, "JSONATA"})
	alias := name("alias")
	must(0, cl.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatBackward, Alias: subject}, alias)[0].Err)
	equal("alias", must(cl.SubjectVersions(ctx, alias)), []int{1})
	reset := cl.ResetCompatibility(ctx, subject)[0] // its Level reads a field that the old configuration in the answer has under another name
	equal("reset", []any{reset.Err, reset.Group}, []any{nil, "major"})
	refused("reset already", cl.Compatibility(ctx, subject)[0].Err, 40408, "")
	equal("compatible with latest", must(cl.CheckCompatibility(ctx, subject, -1, avro(order2))).Is, true)
	answer := must(cl.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), subject, -2, avro(wrong)))
	if answer.Is || len(answer.Messages) == 0 || !strings.Contains(answer.Messages[0], "TYPE_MISMATCH") {
		fail("not compatible: %+v", answer)
	}
	_, err := cl.CheckCompatibility(ctx, subject, 5, avro(order2))
	refused("no such version", err, 40402, "")
	ok("compatibility and configuration with all fields")
}

func contracts() {
	cl, subject := registryAs("alice"), name("contract")
	rule := sr.SchemaRule{Name: "positive", Doc: "orders count from 1", Kind: sr.SchemaRuleKindCondition, Mode: sr.SchemaRuleModeWriteRead,
		Type: "CEL", Tags: []string{"ID"}, Params: map[string]string{"k": "v"}, Expr: "message.id > 0", OnSuccess: "NONE", OnFailure: "ERROR,NONE", Disabled: true}
	s := avro(order)
	s.SchemaMetadata = &sr.SchemaMetadata{Tags: map[string][]string{"shop.Order.id": {"PII"}}, Properties: map[string]string{"owner": "sales"}, Sensitive: []string{"owner"}}
	s.SchemaRuleSet = &sr.SchemaRuleSet{DomainRules: []sr.SchemaRule{rule}}
	made := must(cl.CreateSchema(ctx, subject, s))
	for _, got := range []sr.Schema{made.Schema, must(cl.SchemaByID(ctx, made.ID)), must(cl.SchemaByVersion(ctx, subject, 1)).Schema} {
		equal("metadata", got.SchemaMetadata, s.SchemaMetadata)
		equal("rules", got.SchemaRuleSet, s.SchemaRuleSet)
	}
	ok("metadata and rules")
}

func modes() {
	cl, subject := registryAs("admin"), name("modes")
	equal("global mode", cl.Mode(ctx)[0].Mode, sr.ModeReadWrite)
	refused("none of its own", cl.Mode(ctx, subject)[0].Err, 40409, "does not have subject-level mode configured")
	equal("set", cl.SetMode(ctx, sr.ModeReadOnly, subject)[0].Mode, sr.ModeReadOnly)
	_, err := cl.CreateSchema(ctx, subject, avro(order))
	refused("read only", err, 42205, "read-only mode")
	equal("import", cl.SetMode(ctx, sr.ModeImport, subject)[0].Mode, sr.ModeImport)
	imported := must(cl.CreateSchemaWithIDAndVersion(ctx, subject, avro(strings.ReplaceAll(order, "Order", "Imported")), 4711, 3))
	equal("id and version", []int{imported.ID, imported.Version}, []int{4711, 3})
	equal("reset", cl.ResetMode(ctx, subject)[0].Err, nil)
	equal("default to global", cl.Mode(sr.WithParams(ctx, sr.DefaultToGlobal), subject)[0].Mode, sr.ModeReadWrite)
	refused("import needs an empty subject", cl.SetMode(ctx, sr.ModeImport, subject)[0].Err, 42205, "")
	equal("unless forced", cl.SetMode(sr.WithParams(ctx, sr.Force), sr.ModeImport, subject)[0].Err, nil)
	ok("modes and import")
}

func contexts() {
	context := "." + name("ctx")
	cl, subject := registryAs("admin", sr.DefaultSchemaContext(context)), name("in-context")
	made := must(cl.CreateSchema(ctx, subject, avro(order)))
	equal("ids begin anew", made.ID, 1)
	equal("qualified", made.Subject, ":"+context+":"+subject)
	equal("contexts", must(registryAs("admin").Contexts(sr.WithParams(ctx, sr.ContextPrefix(context)))), []string{context})
	equal("subjects of the context", must(cl.Subjects(ctx)), []string{":" + context + ":" + subject})
	equal("from outside", must(registryAs("admin").SchemaByVersion(ctx, ":"+context+":"+subject, -1)).ID, 1)
	refused("not empty", registryAs("admin").DeleteContext(ctx, context), 42211, "")
	must(cl.DeleteSubject(ctx, subject, sr.SoftDelete))
	must(cl.DeleteSubject(ctx, subject, sr.HardDelete))
	must(0, registryAs("admin").DeleteContext(ctx, context))
	ok("contexts")
}

func users() {
	_, err := registryAs("alice", sr.BasicAuth("alice", "wrong")).Subjects(ctx)
	refused("wrong password", err, 401, "Unauthorized")
	_, err = registryAs("alice").RegisterSchema(ctx, "elsewhere", avro(order), -1, -1)
	refused("a subject out of reach", err, 40301, "")
	_, err = registryAs("bob").RegisterSchema(ctx, name("schemas"), avro(order), -1, -1)
	refused("read only", err, 40301, "")
	refused("configuration", registryAs("alice").SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatNone}, name("schemas"))[0].Err, 40301, "")
	equal("what bob sees", must(registryAs("bob").SubjectVersions(ctx, name("schemas"))), []int{1, 2})
	ok("users and rights")
}

func kafkaAs(user string, more ...kgo.Opt) *kgo.Client {
	opts := []kgo.Opt{kgo.SeedBrokers(where.Broker), kgo.DialTLSConfig(conf),
		kgo.SASL(scram.Auth{User: user, Pass: where.Passwords[user]}.AsSha512Mechanism())}
	return must(kgo.NewClient(append(opts, more...)...))
}

func makeTopic(topic string) {
	admin := kafkaAs("admin")
	defer admin.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, 1, -1
	c := kmsg.NewCreateTopicsRequestTopicConfig()
	c.Name, c.Value = "castellan.value.schema.validation", kmsg.StringPtr("payload")
	t.Configs = append(t.Configs, c)
	req.Topics = append(req.Topics, t)
	must(0, kerr.ErrorForCode(must(req.RequestWith(ctx, admin)).Topics[0].ErrorCode))
}

type Price struct {
	Cents int `json:"cents"`
}

func records() {
	topic := name("records")
	makeTopic(topic)
	schema := sr.Schema{Type: sr.TypeJSON, Schema: `{"type":"object","properties":{"cents":{"type":"integer"}},"required":["cents"]}`}
	made := must(registryAs("alice").CreateSchema(ctx, topic+"-value", schema))
	var serde sr.Serde
	serde.Register(made.ID, Price{}, sr.EncodeFn(json.Marshal), sr.DecodeFn(json.Unmarshal))
	producer := kafkaAs("alice", kgo.DefaultProduceTopic(topic))
	defer producer.Close()
	for i := 1; i <= 3; i++ {
		must(0, producer.ProduceSync(ctx, kgo.StringRecord(string(serde.MustEncode(Price{i})))).FirstErr())
	}
	bad := serde.MustEncode(Price{4})
	for _, value := range [][]byte{[]byte("garbage"), append(bad[:5:5], `{"cents":"4"}`...)} {
		err := producer.ProduceSync(ctx, kgo.SliceRecord(value)).FirstErr()
		if !errors.Is(err, kerr.InvalidRecord) {
			fail("a bad record: %v", err)
		}
	}
	consumer := kafkaAs("bob", kgo.ConsumeTopics(topic), kgo.ConsumerGroup(name("group")), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer consumer.Close()
	timed, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	sum := 0
	for n := 0; n < 3; {
		fetches := consumer.PollFetches(timed)
		must(0, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			var p Price
			must(0, serde.Decode(r.Value, &p))
			sum, n = sum+p.Cents, n+1
		})
	}
	equal("sum", sum, 6)
	ok("records through the gateway")
}
