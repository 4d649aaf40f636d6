/* SPDX-License-Identifier: Apache-2.0
 * The files any schema may import without a reference: Google's well-known and common types, and Confluent's. Here are
 * their names, numbers and types; of descriptor.proto what schemas use: its messages as places to extend. */
#include "registry/protobuf_model.h"

#define P3 "syntax=\"proto3\";package google.protobuf;"
#define T3 "syntax=\"proto3\";package google.type;"
#define D  "google/protobuf/"
#define T  "google/type/"

#define WRAPPER(name, type) "message " name "Value{" type " value=1;}"
#define EXTENSIBLE(name, fields)                                                                                       \
    "message " name "{" fields "repeated UninterpretedOption uninterpreted_option=999;extensions 1000 to max;}"

static const char *const files[] = {
    D "any.proto",
    P3 "message Any{string type_url=1;bytes value=2;}",
    D "duration.proto",
    P3 "message Duration{int64 seconds=1;int32 nanos=2;}",
    D "empty.proto",
    P3 "message Empty{}",
    D "field_mask.proto",
    P3 "message FieldMask{repeated string paths=1;}",
    D "source_context.proto",
    P3 "message SourceContext{string file_name=1;}",
    D "timestamp.proto",
    P3 "message Timestamp{int64 seconds=1;int32 nanos=2;}",
    D "struct.proto",
    P3 "message Struct{map<string,Value> fields=1;}"
       "message Value{oneof kind{NullValue null_value=1;double number_value=2;string string_value=3;bool bool_value=4;"
       "Struct struct_value=5;ListValue list_value=6;}}"
       "enum NullValue{NULL_VALUE=0;}message ListValue{repeated Value values=1;}",
    D "wrappers.proto",
    P3 WRAPPER("Double", "double") WRAPPER("Float", "float") WRAPPER("Int64", "int64") WRAPPER("UInt64", "uint64")
        WRAPPER("Int32", "int32") WRAPPER("UInt32", "uint32") WRAPPER("Bool", "bool") WRAPPER("String", "string")
            WRAPPER("Bytes", "bytes"),
    D "type.proto",
    P3 "message Type{string name=1;repeated Field fields=2;repeated string oneofs=3;repeated Option options=4;"
       "SourceContext source_context=5;Syntax syntax=6;string edition=7;}"
       "message Field{Kind kind=1;Cardinality cardinality=2;int32 number=3;string name=4;string type_url=6;"
       "int32 oneof_index=7;bool packed=8;repeated Option options=9;string json_name=10;string default_value=11;"
       "enum Kind{TYPE_UNKNOWN=0;TYPE_DOUBLE=1;TYPE_FLOAT=2;TYPE_INT64=3;TYPE_UINT64=4;TYPE_INT32=5;TYPE_FIXED64=6;"
       "TYPE_FIXED32=7;TYPE_BOOL=8;TYPE_STRING=9;TYPE_GROUP=10;TYPE_MESSAGE=11;TYPE_BYTES=12;TYPE_UINT32=13;"
       "TYPE_ENUM=14;TYPE_SFIXED32=15;TYPE_SFIXED64=16;TYPE_SINT32=17;TYPE_SINT64=18;}"
       "enum Cardinality{CARDINALITY_UNKNOWN=0;CARDINALITY_OPTIONAL=1;CARDINALITY_REQUIRED=2;CARDINALITY_REPEATED=3;}}"
       "message Enum{string name=1;repeated EnumValue enumvalue=2;repeated Option options=3;"
       "SourceContext source_context=4;Syntax syntax=5;string edition=6;}"
       "message EnumValue{string name=1;int32 number=2;repeated Option options=3;}"
       "message Option{string name=1;Any value=2;}enum Syntax{SYNTAX_PROTO2=0;SYNTAX_PROTO3=1;SYNTAX_EDITIONS=2;}",
    D "api.proto",
    P3 "message Api{string name=1;repeated Method methods=2;repeated Option options=3;string version=4;"
       "SourceContext source_context=5;repeated Mixin mixins=6;Syntax syntax=7;}"
       "message Method{string name=1;string request_type_url=2;bool request_streaming=3;string response_type_url=4;"
       "bool response_streaming=5;repeated Option options=6;Syntax syntax=7;}"
       "message Mixin{string name=1;string root=2;}",
    D "descriptor.proto",
    P3
    "message FileDescriptorSet{repeated FileDescriptorProto file=1;}"
    "message FileDescriptorProto{string name=1;string package=2;repeated string dependency=3;"
    "repeated DescriptorProto message_type=4;repeated EnumDescriptorProto enum_type=5;"
    "repeated ServiceDescriptorProto service=6;repeated FieldDescriptorProto extension=7;FileOptions options=8;"
    "SourceCodeInfo source_code_info=9;repeated int32 public_dependency=10;repeated int32 weak_dependency=11;"
    "string syntax=12;}"
    "message DescriptorProto{string name=1;repeated FieldDescriptorProto field=2;repeated DescriptorProto "
    "nested_type=3;repeated EnumDescriptorProto enum_type=4;repeated ExtensionRange extension_range=5;"
    "repeated FieldDescriptorProto extension=6;MessageOptions options=7;repeated OneofDescriptorProto oneof_decl=8;"
    "repeated ReservedRange reserved_range=9;repeated string reserved_name=10;"
    "message ExtensionRange{int32 start=1;int32 end=2;ExtensionRangeOptions options=3;}"
    "message ReservedRange{int32 start=1;int32 end=2;}}" EXTENSIBLE(
        "ExtensionRangeOptions",
        "") "message FieldDescriptorProto{string name=1;string extendee=2;int32 number=3;Label label=4;Type type=5;"
            "string type_name=6;string default_value=7;FieldOptions options=8;int32 oneof_index=9;string json_name=10;"
            "bool proto3_optional=17;enum Type{TYPE_UNKNOWN=0;TYPE_DOUBLE=1;}enum "
            "Label{LABEL_UNKNOWN=0;LABEL_OPTIONAL=1;}}"
            "message OneofDescriptorProto{string name=1;OneofOptions options=2;}"
            "message EnumDescriptorProto{string name=1;repeated EnumValueDescriptorProto value=2;EnumOptions options=3;"
            "repeated EnumReservedRange reserved_range=4;repeated string reserved_name=5;"
            "message EnumReservedRange{int32 start=1;int32 end=2;}}"
            "message EnumValueDescriptorProto{string name=1;int32 number=2;EnumValueOptions options=3;}"
            "message ServiceDescriptorProto{string name=1;repeated MethodDescriptorProto method=2;ServiceOptions "
            "options=3;}"
            "message MethodDescriptorProto{string name=1;string input_type=2;string output_type=3;MethodOptions "
            "options=4;"
            "bool client_streaming=5;bool server_streaming=6;}" EXTENSIBLE(
                "FileOptions", "string java_package=1;string java_outer_classname=8;bool java_multiple_files=10;"
                               "string go_package=11;bool deprecated=23;string csharp_namespace=37;")
                EXTENSIBLE("MessageOptions", "bool message_set_wire_format=1;bool no_standard_descriptor_accessor=2;"
                                             "bool deprecated=3;bool map_entry=7;")
                    EXTENSIBLE("FieldOptions", "bool packed=2;bool deprecated=3;bool lazy=5;bool weak=10;"
                                               "bool debug_redact=16;") EXTENSIBLE("OneofOptions", "")
                        EXTENSIBLE("EnumOptions", "bool allow_alias=2;bool deprecated=3;") EXTENSIBLE(
                            "EnumValueOptions", "bool deprecated=1;")
                            EXTENSIBLE("ServiceOptions", "bool deprecated=33;") EXTENSIBLE(
                                "MethodOptions",
                                "bool deprecated=33;") "message UninterpretedOption{repeated NamePart name=2;string "
                                                       "identifier_value=3;uint64 positive_int_value=4;"
                                                       "int64 negative_int_value=5;double double_value=6;bytes "
                                                       "string_value=7;string aggregate_value=8;"
                                                       "message NamePart{string name_part=1;bool is_extension=2;}}"
                                                       "message FeatureSet{extensions 1000 to max;}message "
                                                       "FeatureSetDefaults{}message SourceCodeInfo{}"
                                                       "message GeneratedCodeInfo{}enum "
                                                       "Edition{EDITION_UNKNOWN=0;EDITION_PROTO2=998;EDITION_PROTO3="
                                                       "999;}",
    T "calendar_period.proto",
    T3 "enum CalendarPeriod{CALENDAR_PERIOD_UNSPECIFIED=0;DAY=1;WEEK=2;FORTNIGHT=3;MONTH=4;QUARTER=5;HALF=6;YEAR=7;}",
    T "color.proto",
    T3 "message Color{float red=1;float green=2;float blue=3;google.protobuf.FloatValue alpha=4;}",
    T "date.proto",
    T3 "message Date{int32 year=1;int32 month=2;int32 day=3;}",
    T "datetime.proto",
    T3 "message DateTime{int32 year=1;int32 month=2;int32 day=3;int32 hours=4;int32 minutes=5;int32 seconds=6;"
       "int32 nanos=7;oneof time_offset{google.protobuf.Duration utc_offset=8;TimeZone time_zone=9;}}"
       "message TimeZone{string id=1;string version=2;}",
    T "dayofweek.proto",
    T3 "enum DayOfWeek{DAY_OF_WEEK_UNSPECIFIED=0;MONDAY=1;TUESDAY=2;WEDNESDAY=3;THURSDAY=4;FRIDAY=5;SATURDAY=6;"
       "SUNDAY=7;}",
    T "decimal.proto",
    T3 "message Decimal{string value=1;}",
    T "expr.proto",
    T3 "message Expr{string expression=1;string title=2;string description=3;string location=4;}",
    T "fraction.proto",
    T3 "message Fraction{int64 numerator=1;int64 denominator=2;}",
    T "interval.proto",
    T3 "message Interval{google.protobuf.Timestamp start_time=1;google.protobuf.Timestamp end_time=2;}",
    T "latlng.proto",
    T3 "message LatLng{double latitude=1;double longitude=2;}",
    T "money.proto",
    T3 "message Money{string currency_code=1;int64 units=2;int32 nanos=3;}",
    T "month.proto",
    T3 "enum Month{MONTH_UNSPECIFIED=0;JANUARY=1;FEBRUARY=2;MARCH=3;APRIL=4;MAY=5;JUNE=6;JULY=7;AUGUST=8;SEPTEMBER=9;"
       "OCTOBER=10;NOVEMBER=11;DECEMBER=12;}",
    T "phone_number.proto",
    T3 "message PhoneNumber{oneof kind{string e164_number=1;ShortCode short_code=2;}string extension=3;"
       "message ShortCode{string region_code=1;string number=2;}}",
    T "postal_address.proto",
    T3 "message PostalAddress{int32 revision=1;string region_code=2;string language_code=3;string postal_code=4;"
       "string sorting_code=5;string administrative_area=6;string locality=7;string sublocality=8;"
       "repeated string address_lines=9;repeated string recipients=10;string organization=11;}",
    T "quaternion.proto",
    T3 "message Quaternion{double x=1;double y=2;double z=3;double w=4;}",
    T "timeofday.proto",
    T3 "message TimeOfDay{int32 hours=1;int32 minutes=2;int32 seconds=3;int32 nanos=4;}",
    "confluent/meta.proto",
    "syntax=\"proto3\";package confluent;"
    "message Meta{string doc=1;map<string,string> params=2;repeated string tags=3;repeated Rule rules=4;}"
    "message Rule{string name=1;string doc=2;string expr=3;string sql=4;}"
    "extend google.protobuf.FileOptions{Meta file_meta=1088;}"
    "extend google.protobuf.MessageOptions{Meta message_meta=1088;}"
    "extend google.protobuf.FieldOptions{Meta field_meta=1088;}"
    "extend google.protobuf.EnumOptions{Meta enum_meta=1088;}"
    "extend google.protobuf.EnumValueOptions{Meta enum_value_meta=1088;}",
    "confluent/type/decimal.proto",
    "syntax=\"proto3\";package confluent.type;message Decimal{bytes value=1;uint32 precision=2;int32 scale=3;}",
    "confluent/type/variant.proto",
    "syntax=\"proto3\";package confluent.type;message Variant{bytes metadata=1;bytes value=2;}",
    NULL,
};

const char *const *proto_known_files(void)
{
    return files;
}
