"""KServe's own Python SDK, over gRPC and REST, with what it sends by default and what it can be told to send. Prints a
PASS line a check.

usage: kserve_sdk_client.py --http HOST:PORT --grpc HOST:PORT --image FILE [--model NAME]
"""
import argparse
import asyncio
import sys

parser = argparse.ArgumentParser()
for flag in ("--http", "--grpc", "--image"):
    parser.add_argument(flag, required=True)
parser.add_argument("--model", default="sparsefusion")
options = parser.parse_args()
sys.argv = sys.argv[:1]  # the SDK has flags of its own and reads them when it is imported

import numpy
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

QUESTION = "what shape is the red object?"
TRUTH = "circle"


def check(held, what, saw=""):
    if not held:
        raise SystemExit(f"FAIL {what}: {saw}")


def passed(what, saw=""):
    print(f"PASS KServe SDK {what} {saw}".rstrip())


def tensor(name, values, shape):
    element = InferInput(name, shape, "BYTES")
    element.set_data_from_numpy(numpy.array(values, dtype=numpy.object_).reshape(shape))
    return element


def texts_of(response):
    texts = response.outputs[0].as_numpy().flatten()  # bytes over gRPC, text from JSON
    return [text.decode() if isinstance(text, bytes) else str(text) for text in texts]


def request(model, images, questions, shape_of, **more):
    return InferRequest(model_name=model, infer_inputs=[tensor("IMAGE", images, shape_of(len(images))),
                                                        tensor("QUESTION", questions, shape_of(len(questions)))],
                        **more)


SHAPES = {"[n]": lambda n: [n], "[n,1]": lambda n: [n, 1]}


async def check_client(what, model, image, infer):
    for name, shape_of in SHAPES.items():
        response = await infer(request(model, [image], [QUESTION], shape_of))
        check(texts_of(response) == [TRUTH], f"{what}, {name}", texts_of(response))
        check(list(response.outputs[0].shape) == shape_of(1), f"{what}, shape", response.outputs[0].shape)
        for images in ([image], [image] * 3):
            response = await infer(request(model, images, [QUESTION] * 3, shape_of))
            check(texts_of(response) == [TRUTH] * 3, f"{what}, batch {name}", texts_of(response))
        passed(f"{what}: infer with its defaults, one question and three, shape {name}")
    response = await infer(request(model, [image], [QUESTION], SHAPES["[n]"], request_id="mine",
                                   parameters={"max_tokens": 5},
                                   request_outputs=[RequestedOutput("ANSWER", parameters={"binary_data": True})]))
    check(response.id == "mine" and texts_of(response) == [TRUTH], f"{what}, parameters", response)
    passed(f"{what}: id, parameters and requested outputs")
    try:
        await infer(request(model, [image], [QUESTION] * 40, SHAPES["[n]"]))
        check(False, f"{what}: a batch of 40 is refused")
    except Exception as error:  # noqa: BLE001: each client has its own
        check("32" in str(error) and "QUESTION" in str(error), f"{what}: the refusal names field and limit", error)
    passed(f"{what}: a batch that is too large is refused by name")


async def main():
    with open(options.image, "rb") as file:
        image = file.read()

    grpc = InferenceGRPCClient(options.grpc)
    check(await grpc.is_server_live() and await grpc.is_server_ready(), "gRPC: health")
    check(await grpc.is_model_ready(options.model), "gRPC: model ready")
    passed("gRPC: health")
    await check_client("gRPC", options.model, image, grpc.infer)
    await grpc.close()

    rest = InferenceRESTClient(RESTConfig(protocol="v2", timeout=60))
    base = f"http://{options.http}"
    check(await rest.is_server_live(base) and await rest.is_server_ready(base), "REST: health")
    check(await rest.is_model_ready(base, options.model), "REST: model ready")
    passed("REST: health")
    await check_client("REST", options.model, image,
                       lambda asked: rest.infer(base, asked, model_name=options.model))
    await rest.close()


asyncio.run(main())
