"""The node against the service model that botocore ships: what is asked and answered is what the model says.

The cases come from the model: a member or a rule that a newer one has is tried without a change here. All is asked in both
encodings.
"""

import pytest

import model
from asked import Asked
from calls import CALLS, EVENTS, REFUSED, World
from conftest import Node
from encoding import ENCODINGS

SERVED = {
    **CALLS,
    **{operation: [request] for operation, request in EVENTS.items()},
    **{operation: [request] for operation, (request, *_) in REFUSED.items()},
}
NOT_SERVED = sorted(set(model.OPERATIONS) - set(SERVED))

# Members of answers that no answer has, and why.
NEVER_ANSWERED = {
    "KeyId": "no stream is encrypted",
    "ErrorCode": "no record of a healthy node is refused alone",
    "ErrorMessage": "no record of a healthy node is refused alone",
    "ChannelCount": "a node has no channels",
    "ChannelCountLimit": "a node has no channels",
    "QueueCount": "a node has no queues",
    "StreamId": "reserved by AWS",
    "EndedAt": "a commitment ends a day after it was made at the earliest",
}
# The same of a single operation.
NEVER_ANSWERED_BY = {
    ("PutRecord", "EncryptionType"): "left out where nothing is encrypted, as AWS does",
    ("PutRecords", "EncryptionType"): "left out where nothing is encrypted, as AWS does",
    ("GetRecords", "Records.EncryptionType"): "left out where nothing is encrypted, as AWS does",
}
# Operations whose requests name no stream that could be missing.
OF_NO_STREAM = {
    "CreateStream", "DescribeAccountSettings", "DescribeLimits", "GetRecords", "ListStreams", "UpdateAccountSettings",
}


@pytest.fixture(scope="module", params=ENCODINGS)
def asked(tmp_path_factory, request):
    node = Node(tmp_path_factory.mktemp("model"))
    yield Asked(node, ENCODINGS[request.param])
    node.stop()


@pytest.fixture(scope="module")
def world(asked):
    return World(asked.ok)


@pytest.fixture(scope="module")
def bases(world):
    """A good request of each operation, made once."""
    made = {}

    def base(operation):
        if operation not in made:
            made[operation] = SERVED[operation][0](world)
        return made[operation]

    return base


def test_every_operation_of_the_model_is_served_or_refused_by_name(asked):
    assert len(model.OPERATIONS) == 57, "the model has changed: look at what is new"
    for operation in NOT_SERVED:
        kind, message = asked.refused(operation, {})
        assert (kind, operation in message) == ("UnknownOperationException", True), message


@pytest.mark.parametrize("operation", sorted(CALLS))
def test_what_is_answered_is_what_the_model_says(asked, world, operation):
    shape = model.output_of(operation)
    seen = set()
    for make in CALLS[operation]:
        request = make(world)
        body = asked.body_of(operation, request)
        if shape is None:
            assert body == b"", f"an empty answer has no body: {body}"
        else:
            value = asked.encoding.decode(shape, body)
            assert model.faults(shape, value) == [], body
            seen.update(model.present(shape, value))
    if shape is not None:
        expected = {
            member
            for member in model.members(shape)
            if member[-1] not in NEVER_ANSWERED and (operation, ".".join(member)) not in NEVER_ANSWERED_BY
        }
        assert expected - seen == set(), "no answer had these members"


@pytest.mark.parametrize("operation", sorted(REFUSED))
def test_what_a_node_cannot_do_is_refused_with_the_reason(asked, world, operation):
    make, error, reason = REFUSED[operation]
    kind, message = asked.refused(operation, make(world))
    assert (kind, reason in message) == (error, True), message


def cases(make):
    inputs = [(operation, model.input_of(operation)) for operation in sorted(SERVED) if model.input_of(operation)]
    made = [(operation, breach) for operation, shape in inputs for breach in make(shape)]
    return [pytest.param(operation, breach, id=f"{operation}-{breach}") for operation, breach in made]


@pytest.mark.parametrize("operation, breach", cases(model.breaches))
def test_each_rule_of_the_model_is_kept(asked, bases, operation, breach):
    request = breach.of(bases(operation), model.input_of(operation))
    kind, message = asked.refused(operation, request)
    assert (kind, f"'{breach.at}'" in message) == ("ValidationException", True), f"{kind}: {message[:300]}"


@pytest.mark.parametrize("operation, breach", cases(model.wrong_types))
def test_a_value_of_the_wrong_type_is_refused(asked, bases, operation, breach):
    request = breach.of(bases(operation), model.input_of(operation))
    kind, _ = asked.refused(operation, request)
    assert kind == "SerializationException"


def by_name_or_arn():
    """Operations that find a stream by either."""
    inputs = {operation: model.input_of(operation) for operation in sorted(SERVED)}
    both = {"StreamName", "StreamARN"}
    return [operation for operation, shape in inputs.items() if shape and both <= set(model.SHAPES[shape]["members"])]


@pytest.mark.parametrize("operation", by_name_or_arn())
def test_a_stream_is_found_by_name_or_arn_or_both(asked, world, operation):
    make = SERVED[operation][0]

    def outcome(request):
        answer = asked.raw(operation, request)
        return answer.status_code, asked.error(answer).get("__type")

    by_name = make(world)
    expected = outcome(by_name)
    by_arn = make(world)
    by_arn["StreamARN"] = world.arn(by_arn.pop("StreamName"))
    both = make(world)
    both["StreamARN"], both["StreamId"] = world.arn(both["StreamName"]), model.EXAMPLES["StreamId"]
    assert (outcome(by_arn), outcome(both)) == (expected, expected)
    both["StreamARN"] = model.EXAMPLES["StreamARN"]
    assert asked.refused(operation, both)[0] == "InvalidArgumentException"
    neither = make(world)
    del neither["StreamName"]
    assert asked.refused(operation, neither)[0] == "InvalidArgumentException"


@pytest.mark.parametrize("operation", sorted(set(SERVED) - OF_NO_STREAM))
def test_a_stream_or_consumer_that_is_not_there_is_not_found(asked, bases, operation):
    request = dict(bases(operation))
    arn = "arn:aws:kinesis:eu-central-1:123456789012:stream/none"
    gone = {"StreamName": "none", "StreamARN": arn, "ResourceARN": arn, "ConsumerARN": f"{arn}/consumer/c:1"}
    missing = {member: value for member, value in gone.items() if member in request}
    kind, message = asked.refused(operation, request | missing)
    assert (kind, "none" in message) == ("ResourceNotFoundException", True), message
