"""Asks a node what a test makes up, signed, in one encoding."""

import botocore
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.httpsession

import model
from encoding import Json


class Asked:
    """Sends requests, signed, through boto3 or as they are, in one encoding."""

    def __init__(self, node, encoding, credentials=("123456789012", "secret")):
        self.node, self.encoding, self.credentials = node, encoding, credentials
        self.client = node.client()
        self.client.meta.events.register("before-parse.kinesis", self.keep)
        self.session = botocore.httpsession.URLLib3Session()
        self.raw_body = None

    def keep(self, response_dict, **_):
        self.raw_body = response_dict["body"]

    def body_of(self, operation, request):
        """The bytes of an answer. boto3 asks where it speaks the encoding, and must understand what it is told."""
        if self.encoding is not Json:
            answer = self.raw(operation, request)
            assert answer.status_code == 200, f"{operation} {request}: {answer.text}"
            return answer.content
        method = getattr(self.client, botocore.xform_name(operation))
        answer = method(**model.for_boto(model.input_of(operation), request)) if request else method()
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        return self.raw_body

    def send(self, operation, body, **more):
        headers = {"X-Amz-Target": f"Kinesis_20131202.{operation}", "Content-Type": self.encoding.content_type, **more}
        request = botocore.awsrequest.AWSRequest("POST", self.node.url + "/", headers, body)
        if self.credentials:
            credentials = botocore.credentials.Credentials(*self.credentials)
            botocore.auth.SigV4Auth(credentials, "kinesis", "eu-central-1").add_auth(request)
        answer = self.session.send(request.prepare())
        assert answer.headers["Content-Type"] == self.encoding.content_type
        return answer

    def raw(self, operation, request):
        answer = self.send(operation, self.encoding.encode(model.input_of(operation), request))
        assert answer.headers["x-amzn-RequestId"] and answer.headers["x-amz-id-2"]
        return answer

    def ok(self, operation, request):
        answer = self.raw(operation, request)
        assert answer.status_code == 200, f"{operation} {request}: {answer.text}"
        return self.encoding.decode(model.output_of(operation), answer.content) if answer.content else None

    def error(self, answer):
        return self.encoding.decode(None, answer.content) if answer.status_code != 200 else {}

    def refused(self, operation, request):
        """The type and the message of an error, which is whole."""
        answer = self.raw(operation, request)
        assert answer.status_code == 400, f"{operation}: {answer.status_code} {answer.text[:200]}"
        body = self.error(answer)
        kind = body["__type"]
        message = body["Message" if kind == "SerializationException" else "message"]
        assert message and set(body) <= {"__type", "message", "Message"}, body
        assert answer.headers["x-amzn-ErrorType"] == kind
        return kind, message
