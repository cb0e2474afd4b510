"""The stock tritonclient against a running server: HTTP and gRPC, whole answers and streams, binary and JSON tensors.

    python kserve_client.py --http HOST:PORT --grpc HOST:PORT --image PICTURE
    python kserve_client.py --http HOST:PORT --grpc HOST:PORT --image PICTURE --key KEY [--management HOST:PORT]

With a key of scope infer and admin the server is one whose model may be taken away: it is unloaded and loaded.
"""
import argparse
import asyncio
import base64
import json
import queue
import urllib.request

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.grpc.aio as aiogrpcclient
import tritonclient.http as httpclient
import tritonclient.http.aio as aiohttpclient
from tritonclient.utils import InferenceServerException

QUESTION = "what shape is the red object?"


def passed(what, detail=""):
    print(f"PASS {what}{': ' + detail if detail else ''}", flush=True)


def check(condition, what):
    if not condition:
        raise SystemExit(f"FAIL {what}")


def refused(call, what):
    try:
        call()
    except InferenceServerException as error:
        return str(error)
    raise SystemExit(f"FAIL {what}: was not refused")


def http_inputs(image, binary, module=httpclient):
    picture = image if binary else base64.b64encode(image)
    tensors = []
    for name, value in (("IMAGE", picture), ("QUESTION", QUESTION.encode())):
        tensor = module.InferInput(name, [1], "BYTES")
        tensor.set_data_from_numpy(np.array([value], dtype=np.object_), binary_data=binary)
        tensors.append(tensor)
    return tensors


def grpc_inputs(image, module=grpcclient):
    tensors = []
    for name, value in (("IMAGE", image), ("QUESTION", QUESTION.encode())):
        tensor = module.InferInput(name, [1], "BYTES")
        tensor.set_data_from_numpy(np.array([value], dtype=np.object_))
        tensors.append(tensor)
    return tensors


def text_of(result):
    value = result.as_numpy("ANSWER")[0]
    return value.decode() if isinstance(value, bytes) else str(value)


def check_description(client, name, what, as_json):
    """What both clients offer alike; `as_json` makes a reply a dictionary."""
    check(client.is_server_live() and client.is_server_ready(), f"{what} health")
    check(client.is_model_ready(name) and client.is_model_ready(name + "_stream"), f"{what} model ready")
    check(not client.is_model_ready("no-such-model"), f"{what} unknown model")
    check("statistics" in as_json(client.get_server_metadata())["extensions"], f"{what} extensions")
    metadata = as_json(client.get_model_metadata(name))
    check([t["name"] for t in metadata["inputs"]] == ["IMAGE", "QUESTION"], f"{what} metadata")
    check(client.is_model_ready(name, metadata["versions"][0]), f"{what} version ready")
    for decoupled in (False, True):
        config = as_json(client.get_model_config(name + "_stream" * decoupled))
        config = config.get("config", config)
        check(config.get("model_transaction_policy", {}).get("decoupled", False) == decoupled, f"{what} decoupled")
        check(int(config.get("max_batch_size", 0)) == 0, f"{what} max_batch_size")
    stats = as_json(client.get_inference_statistics(name))["model_stats"][0]
    check("cache_miss" in stats["inference_stats"], f"{what} statistics")
    check(len(as_json(client.get_inference_statistics())["model_stats"]) == 2, f"{what} statistics of all")
    index = client.get_model_repository_index()
    index = index if isinstance(index, list) else as_json(index)["models"]
    check([m["name"] for m in index] == [name, name + "_stream"], f"{what} repository index")
    check({m["state"] for m in index} == {"READY"}, f"{what} repository states")
    check("admin" in refused(lambda: client.load_model(name), f"{what} load"), f"{what} load names the admin port")
    check("admin" in refused(lambda: client.unload_model(name), f"{what} unload"), f"{what} unload")
    passed(f"{what}: health, metadata, config, statistics, repository")


def check_http(address, name, image):
    with httpclient.InferenceServerClient(address, concurrency=4, connection_timeout=60, network_timeout=60) as client:
        check_description(client, name, "http", lambda reply: reply)
        answers = set()
        for binary_in in (True, False):
            for binary_out in (True, False, None):  # None: no outputs are named
                outputs = None if binary_out is None else [
                    httpclient.InferRequestedOutput("ANSWER", binary_data=binary_out)]
                result = client.infer(name, http_inputs(image, binary_in), outputs=outputs, request_id="mine",
                                      priority=1, timeout=30_000_000, parameters={"max_tokens": 16})
                reply = result.get_response()
                check(reply["id"] == "mine" and reply["model_name"] == name, "http response")
                answers.add((text_of(result), reply["model_version"]))
        check(len(answers) == 1, f"http: one answer whatever the form, got {answers}")
        passed("http: infer, binary and JSON, in and out", repr(answers))
        handles = [client.async_infer(name, http_inputs(image, True)) for _ in range(8)]
        check({text_of(h.get_result()) for h in handles} == {a for a, _ in answers}, "http: async_infer")
        passed("http: async_infer")
        check("IMAGE" in refused(lambda: client.infer(name, http_inputs(b"no picture", True)), "http: bad picture")
              .upper(), "http: a bad picture is named")
        refused(lambda: client.infer("no-such-model", http_inputs(image, True)), "http: unknown model")
        refused(lambda: client.infer(name, http_inputs(image, True)[:1]), "http: missing input")
        refused(lambda: client.infer(name, http_inputs(image, True), sequence_id=7), "http: sequence")
        passed("http: errors are InferenceServerException")
        return answers.pop()


def check_grpc(address, name, image):
    with grpcclient.InferenceServerClient(address) as client:
        from google.protobuf import json_format
        check_description(client, name, "grpc", lambda reply: json_format.MessageToDict(
            reply, preserving_proto_field_name=True, including_default_value_fields=True))
        result = client.infer(name, grpc_inputs(image), request_id="mine", priority=1, timeout=30_000_000,
                              parameters={"max_tokens": 16})
        check(result.get_response().id == "mine", "grpc response")
        answer = (text_of(result), result.get_response().model_version)
        passed("grpc: infer", repr(answer))
        done = queue.Queue()
        for _ in range(8):
            client.async_infer(name, grpc_inputs(image), lambda result, error: done.put((result, error)))
        for _ in range(8):
            reply, error = done.get(timeout=60)
            check(error is None and text_of(reply) == answer[0], "grpc: async_infer")
        passed("grpc: async_infer")
        refused(lambda: client.infer("no-such-model", grpc_inputs(image)), "grpc: unknown model")
        check("decoupled" in refused(lambda: client.infer(name + "_stream", grpc_inputs(image)), "grpc: decoupled"),
              "grpc: decoupled")
        passed("grpc: errors are InferenceServerException")
        check_grpc_stream(client, name, image, answer[0])
        return answer


def check_grpc_stream(client, name, image, answer):
    done = queue.Queue()
    client.start_stream(callback=lambda result, error: done.put((result, error)))
    for i in range(6):
        client.async_stream_infer(name + "_stream", grpc_inputs(image), request_id=str(i),
                                  enable_empty_final_response=True)
    texts, finals = {}, 0
    while finals < 6:
        result, error = done.get(timeout=60)
        check(error is None, f"grpc stream: {error}")
        reply = result.get_response()
        if reply.parameters["triton_final_response"].bool_param:
            finals += 1
            check(len(reply.outputs) == 0, "grpc stream: the final response is empty")
        else:
            texts[reply.id] = texts.get(reply.id, "") + text_of(result)
    check(len(texts) == 6 and set(texts.values()) == {answer}, f"grpc stream: {texts}")
    client.async_stream_infer("no-such-model", grpc_inputs(image), request_id="bad")
    result, error = done.get(timeout=60)
    check(result is None and error is not None, "grpc stream: in-band error")
    client.async_stream_infer(name, grpc_inputs(image), request_id="whole")
    result, error = done.get(timeout=60)
    check(error is None and text_of(result) == answer, "grpc stream: goes on after an error")
    client.stop_stream()
    passed("grpc: stream of many requests, empty final responses, in-band errors")
    client.start_stream(callback=lambda result, error: done.put((result, error)))
    client.async_stream_infer(name + "_stream", grpc_inputs(image), parameters={"max_tokens": 200})
    client.stop_stream(cancel_requests=True)
    passed("grpc: stream cancelled by the client")


async def check_asyncio(http, grpc, name, image, answer):
    async with aiohttpclient.InferenceServerClient(http) as client:
        result = await client.infer(name, http_inputs(image, True, aiohttpclient))
        check(text_of(result) == answer, "http.aio")
    async with aiogrpcclient.InferenceServerClient(grpc) as client:
        result = await client.infer(name, grpc_inputs(image, aiogrpcclient))
        check(text_of(result) == answer, "grpc.aio")

        async def requests():
            yield {"model_name": name + "_stream", "inputs": grpc_inputs(image, aiogrpcclient), "request_id": "1"}

        text = ""
        async for result, error in client.stream_infer(requests()):
            check(error is None, f"grpc.aio stream: {error}")
            text += text_of(result)
        check(text == answer, f"grpc.aio stream: {text!r}")
    passed("asyncio: http, grpc, grpc stream")


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode())  # as curl -d: called a form
    with urllib.request.urlopen(request, timeout=60) as reply:
        return reply.read().decode()


def check_generate(address, name, image, answer):
    body = {"IMAGE": base64.b64encode(image).decode(), "QUESTION": QUESTION, "max_tokens": 16}
    check(json.loads(post(f"http://{address}/v2/models/{name}/generate", body))["ANSWER"] == answer, "generate")
    events = post(f"http://{address}/v2/models/{name}_stream/generate_stream", body).split("\n\n")
    check("".join(json.loads(e[6:])["ANSWER"] for e in events if e) == answer, "generate_stream")
    passed("generate and generate_stream")


def index_of(client, headers, ready=False):
    """{name: (state, reason)} of the rows that are not refused versions."""
    if ready:  # the clients have no argument for it over HTTP
        reply = client._post("v2/repository/index", json.dumps({"ready": True}), headers, None)
        rows = json.loads(reply.read())
    else:
        rows = client.get_model_repository_index(headers=headers)
        rows = rows if isinstance(rows, list) else [
            {"name": m.name, "state": m.state, "reason": m.reason} for m in rows.models]
    return {row["name"]: (row["state"], row["reason"]) for row in rows}


def check_repository(client, name, image, key, what, inputs):
    """load_model, unload_model and get_model_repository_index as Triton's clients have them."""
    headers = {"authorization": f"Bearer {key}"}
    check(client.is_model_ready(name, headers=headers), f"{what}: ready at first")
    refused(lambda: client.load_model(name), f"{what}: load without a key")
    refused(lambda: client.unload_model("no-such-model", headers=headers), f"{what}: unknown model")
    check("config" in refused(lambda: client.load_model(name, headers=headers, config="{}"), f"{what}: config"),
          f"{what}: a configuration is refused by name")
    client.unload_model(name, headers=headers)
    client.unload_model(name + "_stream", headers=headers)  # the other name of what is unloaded already
    for each in (name, name + "_stream"):
        check(not client.is_model_ready(each, headers=headers), f"{what}: {each} not ready")
    check(not client.is_server_ready(headers=headers), f"{what}: server not ready")
    check(set(index_of(client, headers).values()) == {("UNAVAILABLE", "unloaded")}, f"{what}: index says unloaded")
    refused(lambda: client.infer(name, inputs(image), headers=headers), f"{what}: infer while unloaded")
    client.load_model(name + "_stream", headers=headers)
    for each in (name, name + "_stream"):
        check(client.is_model_ready(each, headers=headers), f"{what}: {each} ready again")
    check(index_of(client, headers) == {name: ("READY", ""), name + "_stream": ("READY", "")}, f"{what}: index")
    check(text_of(client.infer(name, inputs(image), headers=headers)), f"{what}: infer after the load")
    passed(f"{what}: load_model, unload_model, repository index")


def check_commands(options, name, image):
    with httpclient.InferenceServerClient(options.http, network_timeout=60) as client:
        check_repository(client, name, image, options.key, "http", lambda image: http_inputs(image, True))
        check(set(index_of(client, {"authorization": f"Bearer {options.key}"}, ready=True)) == {name, name + "_stream"},
              "http: index of what is ready")
    with grpcclient.InferenceServerClient(options.grpc) as client:
        check_repository(client, name, image, options.key, "grpc", grpc_inputs)
        # Over HTTP the client fails by itself: it puts bytes into JSON.
        file = refused(lambda: client.load_model(name, headers={"authorization": f"Bearer {options.key}"}, config="{}",
                                                 files={"file:1/model.onnx": b"x"}), "grpc: file")
        check("config" in file or "file:" in file, "grpc: a file is refused by name")
    if not options.management:
        return
    with httpclient.InferenceServerClient(options.management, network_timeout=60) as client:
        headers = {"authorization": f"Bearer {options.key}"}
        refused(lambda: client.unload_model(name, headers=headers), "management port: a body that is not called JSON")
        headers["content-type"] = "application/json"
        client.unload_model(name, headers=headers)
        check(not client.is_server_ready(), "management port: not ready")
        client.load_model(name, headers=headers)
        check(client.is_server_ready(), "management port: ready")
        passed("management port: load_model, unload_model with content-type application/json")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", required=True)
    parser.add_argument("--grpc")
    parser.add_argument("--image")
    parser.add_argument("--print-model", action="store_true")
    parser.add_argument("--key")
    parser.add_argument("--management")
    options = parser.parse_args()
    headers = {"authorization": f"Bearer {options.key}"} if options.key else None
    with httpclient.InferenceServerClient(options.http) as client:
        name = client.get_model_repository_index(headers=headers)[0]["name"]
    if options.print_model:
        print(name)
        return
    with open(options.image, "rb") as file:
        image = file.read()
    if options.key:
        check_commands(options, name, image)
        return
    over_http = check_http(options.http, name, image)
    over_grpc = check_grpc(options.grpc, name, image)
    check(over_http == over_grpc, f"http and grpc differ: {over_http} {over_grpc}")
    asyncio.run(check_asyncio(options.http, options.grpc, name, image, over_http[0]))
    check_generate(options.http, name, image, over_http[0])


if __name__ == "__main__":
    main()
