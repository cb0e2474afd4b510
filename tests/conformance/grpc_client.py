"""A client that knows nothing but the server's reflection: it lists the services, builds their messages from the
descriptors that it is sent, and calls them. Prints a PASS line a check.

    python grpc_client.py --grpc HOST:PORT --image PICTURE
"""
import argparse

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

QUESTION = "what shape is the red object?"
TRUTH = "circle"
SERVICES = {
    "grpc.health.v1.Health": {"Check", "Watch"},
    "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo"},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo"},
    "inference.GRPCInferenceService": {
        "ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer", "ModelStreamInfer",
        "ModelConfig", "ModelStatistics", "RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"},
    "sparsefusion.v1.ModelAdmin": {"ListVersions", "LoadVersion", "Pin", "Unpin", "Rollback", "ExpertStats"},
    "sparsefusion.v1.VisualQuestionAnswering": {"Answer", "StreamAnswer", "Explain"},
}


def check(name, holds, seen=""):
    if not holds:
        raise SystemExit(f"FAIL {name}: {seen}")
    print(f"PASS {name}", flush=True)


class Reflected:
    """Calls by name, with messages made from the descriptors."""

    def __init__(self, channel):
        self.channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = DescriptorPool(self.database)

    def method(self, service, name):
        return self.pool.FindServiceByName(service).FindMethodByName(name)

    def call(self, service, name, **fields):
        method = self.method(service, name)
        request = GetMessageClass(method.input_type)(**fields)
        kind = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        call = kind(f"/{service}/{name}", request_serializer=lambda message: message.SerializeToString(),
                    response_deserializer=GetMessageClass(method.output_type).FromString)
        return call(request, timeout=60)


def check_services(client):
    listed = set(client.database.get_services())
    check("reflection: every service is listed", listed == set(SERVICES), listed ^ set(SERVICES))
    for service, methods in SERVICES.items():
        found = {method.name for method in client.pool.FindServiceByName(service).methods}
        check(f"reflection: {service}", methods <= found, methods - found)
    streams = [client.method(*name) for name in (("sparsefusion.v1.VisualQuestionAnswering", "StreamAnswer"),
                                                 ("inference.GRPCInferenceService", "ModelStreamInfer"))]
    check("reflection: streams are streams", [(m.client_streaming, m.server_streaming) for m in streams]
          == [(False, True), (True, True)])


def check_calls(client, image):
    health = client.call("grpc.health.v1.Health", "Check")
    check("reflection: grpc.health.v1", health.status == 1, health)
    native = "sparsefusion.v1.VisualQuestionAnswering"
    asked = dict(image=image, question=QUESTION)
    answer = client.call(native, "Answer", **asked)
    check("reflection: Answer", answer.answer == TRUTH and answer.model_version > 0, answer)
    deltas = list(client.call(native, "StreamAnswer", **asked))
    kinds = {field.name for message in deltas for field, _ in message.ListFields()}
    check("reflection: StreamAnswer", len(deltas) > 1, kinds)
    explained = client.call(native, "Explain", question=asked)
    check("reflection: Explain", TRUTH in str(explained), "no answer in it")
    versions = client.call("sparsefusion.v1.ModelAdmin", "ListVersions")
    check("reflection: ListVersions", len(versions.ListFields()) > 0, versions)
    try:
        client.call(native, "Answer", question=QUESTION)
        check("reflection: a question without a picture is refused", False)
    except grpc.RpcError as error:
        check("reflection: a question without a picture is refused",
              error.code() == grpc.StatusCode.INVALID_ARGUMENT and "image" in error.details(), error)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--grpc", required=True, help="HOST:PORT")
    parser.add_argument("--image", required=True)
    options = parser.parse_args()
    with open(options.image, "rb") as file:
        image = file.read()
    with grpc.insecure_channel(options.grpc) as channel:
        client = Reflected(channel)
        check_services(client)
        check_calls(client, image)


if __name__ == "__main__":
    main()
