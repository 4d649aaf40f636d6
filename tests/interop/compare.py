# SPDX-License-Identifier: Apache-2.0
"""Answers of different systems made comparable, and their differences by path. What a server makes up (ids, addresses,
times, texts of errors) becomes a word that says what kind of thing stood there; everything else must be equal."""
import uuid

from kafka_messages import ERRORS, NAMES, NO_ID, read_batches

KEYS = ("Name", "Topic", "TopicName", "TopicId", "PartitionIndex", "PartitionId", "Partition", "Index", "GroupId",
    "Group",
        "TransactionalId", "Key", "User", "ResourceType", "ResourceName", "PatternType", "Principal", "Operation",
            "EntityType",
        "EntityName", "NodeId", "BrokerId", "ApiKey", "LogDir", "MemberId", "ReplicaId")
DROPPED = {"ThrottleTimeMs", "ThrottleTimeMillis"}
MADE_UP = {  # field -> what it is called; -1, "" and null stay as they are
    "Host": "host", "Port": "port", "ClusterId": "cluster", "MemberId": "member", "Leader": "member",
        "SessionId": "session",
    "LogAppendTimeMs": "time", "ProducerId": "producer", "CurrentTxnStartOffset": "offset", "LastTimestamp": "time",
    "TransactionStartTimeMs": "time", "LogDir": "folder", "TotalBytes": "bytes", "UsableBytes": "bytes",
        "PartitionSize": "bytes",
    "ClientHost": "host", "ClientId": "client", "ReplicaDirectoryId": "folder", "LastFetchTimestamp": "time",
    "LastCaughtUpTimestamp": "time", "FinalizedFeaturesEpoch": "epoch", "BrokerEpoch": "epoch",
}
OFFSETS = {"BaseOffset", "HighWatermark", "LastStableOffset", "LogStartOffset", "LowWatermark",
    "LogEndOffset"}  # of logs
# that others write, too
TEXTS = {"ErrorMessage", "Documentation", "BatchIndexErrorMessage"}


def tidy(x, run, field=""):
    if isinstance(x, dict):
        return {k: tidy(v, run, k) for k, v in x.items() if k not in DROPPED}
    if isinstance(x, list):
        done = [tidy(v, run, field) for v in x]
        return sorted(done, key=lambda d: (label(d) if isinstance(d, dict) else "", repr(d)))
    if field.endswith("ErrorCode"):
        return ERRORS.get(x, x)
    if isinstance(x, uuid.UUID) and field != "ReplicaDirectoryId":
        return "none" if x == NO_ID else run.role_of(run.target.name_of(x)) or "some id"
    if field in MADE_UP:
        return x if x in (-1, "", None) else f"<{MADE_UP[field]}>"
    if field in OFFSETS and (run.case.last or run.case.api == "DescribeQuorum"):
        return x if x in (-1, 0) else "<offset>"
    if field == "ApiKey":
        return NAMES.get(x, x)
    if field in TEXTS:
        return x if x in ("", None) else "<text>"
    if isinstance(x, bytes):
        return [list(b[:3]) + [b[3].hex()] for b in read_batches(x)] if field == "Records" else x.hex()
    if isinstance(x, str):
        return run.role_of(x)
    return x


def label(element):
    """What tells an element from its neighbours."""
    if element.get("Name") or element.get("Topic") or element.get("TopicName"):
        element = {**element, "TopicId": None}
    return "/".join(str(element[k]) for k in KEYS if element.get(k) not in (None, "", "none", "<member>", "<folder>"))


def differences(kafka, ours, path=""):
    """(path, Kafka's value, ours) for each place where they differ."""
    if not path and ("answer" in kafka or "answer" in ours):  # at least one of them gave none
        a, b = ({k: v for k, v in x.items() if k != "left"} for x in (kafka, ours))
        said = [x.get("answer") or shown(x) for x in (a, b)]
        return [("answer", *said)] * (said[0] != said[1]) + differences(kafka["left"], ours["left"], "left")
    if isinstance(kafka, dict) and isinstance(ours, dict):
        out = []
        for k in kafka.keys() | ours.keys():
            a, b = kafka.get(k, "absent"), ours.get(k, "absent")
            if k in TEXTS and a is None and b == "<text>" and refused(ours):
                continue  # a reason more than Kafka gives
            out += differences(a, b, f"{path}.{k}" if path else k)
        return out
    if isinstance(kafka, list) and isinstance(ours, list) and any(isinstance(v, dict) for v in kafka + ours):
        a, b, out = labelled(kafka), labelled(ours), []
        for k in a.keys() | b.keys():
            where = f"{path}[{k}]"
            if k in a and k in b:
                out += differences(a[k], b[k], where)
            else:
                out.append((where, shown(a.get(k, "absent")), shown(b.get(k, "absent"))))
        return out
    return [] if kafka == ours and type(kafka) is type(ours) else [(path, shown(kafka), shown(ours))]


def refused(answer):
    return any(k.endswith("ErrorCode") and v != "NONE" for k, v in answer.items())


def labelled(elements):
    out = {}
    for e in elements:
        name = at = label(e) if isinstance(e, dict) else repr(e)
        n = 1
        while at in out:
            n += 1
            at = f"{name}#{n}"
        out[at] = e
    return out


def shown(value):
    """One line of text; of a structure, its errors."""
    if isinstance(value, (dict, list)):
        return "{" + " ".join(summary(value)) + "}" if value else repr(value)
    return "null" if value is None else repr(value) if value == "" else str(value)


def summary(answer, at=""):
    """The names and errors of an answer: "t/0=NONE"."""
    out = []
    if isinstance(answer, list):
        if answer and not isinstance(answer[0], (dict, list)):
            return [f"{at}({','.join(map(str, answer))})"] if all(isinstance(v, str) for v in answer) else []
        for e in answer:
            if isinstance(e, dict):
                name = label(e)
                inner = summary(e, f"{at}/{name}" if at and name else at or name)
                out += inner or ([f"{at}/{name}" if at else name] if name else [])
        return out
    for k, v in answer.items():
        if k.endswith("ErrorCode"):
            out.append(f"{at}={v}")
        elif k.endswith("AuthorizedOperations") and v != -1 << 31:
            out.append(f"{at}:{v & 0xffff:x}")
    for v in answer.values():
        if isinstance(v, (dict, list)) and v:
            out += summary(v, at)
    return out
