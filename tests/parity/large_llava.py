"""A random LLaVA-Mixtral of more than 2 GB in four shards: converted within bounded memory, served, and asked; its greedy
tokens must be those of transformers for the same picture and question.

    python tests/parity/large_llava.py --bin build/release/bin [--work DIR] [--keep]

Takes 5 GB of disk below --work (deleted afterwards), 7 GB of memory and a few minutes. Prints what it measured; exits
with 1 where the memory or the answer is not what it must be.
"""
import argparse
import base64
import gc
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

import numpy
import sentencepiece
import torch
import transformers
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

import make_llava_goldens as llava
import make_text_goldens as text
import make_tokenizer_goldens as prompts

PIECES, IMAGE_TOKEN, SIDE, PATCH, SHARDS, NEW_TOKENS = 8000, 8000, 224, 16, 4, 24
QUESTION = "what is left of the red circle"
SLACK_MIB = 256


def tokenizer_model(seed: int) -> bytes:
    """A vocabulary as large as a small Llama's, of random words."""
    generator = numpy.random.default_rng(seed)
    syllables = ["".join(s) for s in zip(generator.choice(list("bcdfghklmnprstvw"), 300), generator.choice(list("aeiou"), 300),
                                         generator.choice(list("lmnrst "), 300))]
    words = ["".join(generator.choice(syllables, generator.integers(1, 4))).replace(" ", "") for _ in range(20000)]
    lines = [" ".join(generator.choice(words, 12)) for _ in range(8000)] + [QUESTION]
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type="bpe", vocab_size=PIECES, byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", remove_extra_whitespaces=False, num_threads=1,
        minloglevel=2, unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
    return out.getvalue()


def large_model(seed: int) -> transformers.LlavaForConditionalGeneration:
    vision = transformers.CLIPVisionConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                                           num_attention_heads=12, image_size=SIDE, patch_size=PATCH)
    mixtral = transformers.MixtralConfig(
        vocab_size=PIECES + 64, hidden_size=1024, intermediate_size=1792, num_hidden_layers=10, num_attention_heads=16,
        num_key_value_heads=4, max_position_embeddings=1024, num_local_experts=8, num_experts_per_tok=2,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, sliding_window=None)
    config = transformers.LlavaConfig(vision_config=vision, text_config=mixtral, image_token_index=IMAGE_TOKEN,
                                      vision_feature_layer=-2, image_seq_length=(SIDE // PATCH) ** 2)
    model = transformers.LlavaForConditionalGeneration(config).eval()
    text.randomize(model, seed, scale=2.0)
    return model


def write(directory: pathlib.Path, model, seed: int) -> int:
    """Returns the bytes of the largest tensor."""
    state = llava.hub_names({key: value for key, value in model.state_dict().items() if not key.endswith("position_ids")})
    config = llava.config_json(model.config) | {"image_token_index": IMAGE_TOKEN}
    text.write_directory(directory, config, state, SHARDS, seed)
    (directory / "tokenizer.model").write_bytes(tokenizer_model(seed))
    (directory / "preprocessor_config.json").write_text(json.dumps({
        "do_resize": True, "size": {"shortest_edge": SIDE}, "resample": 3, "do_center_crop": True,
        "crop_size": {"height": SIDE, "width": SIDE}, "do_normalize": True, "image_mean": llava.MEAN, "image_std": llava.STD}))
    (directory / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "LlamaTokenizer", "legacy": False, "add_bos_token": True, "add_eos_token": False,
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "added_tokens_decoder": {
            str(i): {"content": piece, "special": True}
            for i, piece in ((0, "<unk>"), (1, "<s>"), (2, "</s>"), (IMAGE_TOKEN, "<image>"))}}))
    return max(value.numel() * value.element_size() for value in state.values())


def picture(seed: int) -> bytes:
    cells = numpy.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=numpy.uint8)
    out = io.BytesIO()
    Image.fromarray(cells.repeat(48, 0).repeat(48, 1)).save(out, "PNG")  # 384 x 288: resized and cropped
    return out.getvalue()


@torch.no_grad()
def reference(directory: pathlib.Path, model, image: bytes) -> dict:
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    turns = [["image", (SIDE // PATCH) ** 2], ["user", QUESTION]]
    ids = torch.tensor([tokenizer.encode(prompts.render("llava-1.5", turns))])
    processor = CLIPImageProcessorPil.from_pretrained(directory)
    pixels = processor(Image.open(io.BytesIO(image)), return_tensors="pt")["pixel_values"]
    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels, do_sample=False,
                         max_new_tokens=NEW_TOKENS, output_logits=True, return_dict_in_generate=True, pad_token_id=2)
    answer = out.sequences[0, ids.shape[1]:].tolist()
    top = torch.stack(out.logits)[:, 0].topk(2).values
    return {"prompt_tokens": ids.shape[1], "ids": answer, "pieces": tokenizer.convert_ids_to_tokens(answer),
            "text": tokenizer.decode(answer, skip_special_tokens=True), "margin": (top[:, 0] - top[:, 1]).min().item()}


def ask(server: str, image: bytes) -> dict:
    url = "data:image/png;base64," + base64.b64encode(image).decode()
    body = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}},
                                                      {"type": "text", "text": QUESTION}]}],
            "max_tokens": NEW_TOKENS, "temperature": 0, "logprobs": True}
    request = urllib.request.Request(server + "/v1/chat/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=600))


def served_answer(binaries: pathlib.Path, checkpoint: pathlib.Path, work: pathlib.Path, image: bytes) -> dict:
    port_file = work / "port.json"
    command = [binaries / "sparsefusion-server", "--model", checkpoint, "--threads", "1", "--http-port", "0", "--no-grpc",
               "--admin-port", "0", "--port-file", port_file]
    with open(work / "server.log", "w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            while not port_file.exists():
                if server.poll() is not None:
                    sys.exit("the server ended: " + (work / "server.log").read_text()[-2000:])
                time.sleep(0.2)
            port = int(re.search(r'"?http"?\D*(\d+)', port_file.read_text()).group(1))
            return ask(f"http://127.0.0.1:{port}", image)
        finally:
            server.terminate()


def run(args, work: pathlib.Path) -> bool:
    transformers.logging.set_verbosity_error()
    source, checkpoint, image = work / "hf", work / "checkpoint", picture(args.seed)
    model = large_model(args.seed)
    largest = write(source, model, args.seed)
    expected = reference(source, model, image)
    del model
    gc.collect()
    total = sum(file.stat().st_size for file in source.glob("*.safetensors"))
    print(f"source: {total >> 20} MiB in {SHARDS} shards, largest tensor {largest >> 20} MiB")
    out = subprocess.run([args.bin / "sparsefusion-model", "convert", "--from", "hf", source, "--out", checkpoint],
                         check=True, capture_output=True, text=True).stdout
    peak, limit = int(re.search(r"peak RSS (\d+) MiB", out).group(1)), (largest >> 20) + SLACK_MIB
    print(f"convert: peak RSS {peak} MiB, at most {limit} MiB allowed")
    answer = served_answer(args.bin, checkpoint, work, image)
    choice = answer["choices"][0]
    pieces = [entry["token"] for entry in choice["logprobs"]["content"]]
    print(f"transformers: {expected['text']!r} (least margin of its tokens {expected['margin']:.3f})")
    print(f"served:       {choice['message']['content']!r}, {len(pieces)} tokens")
    same = (choice["message"]["content"] == expected["text"].strip(" ") and answer["usage"]["completion_tokens"] == NEW_TOKENS
            and answer["usage"]["prompt_tokens"] == expected["prompt_tokens"] and
            [piece.strip() for piece in pieces] == [piece.replace("\u2581", " ").strip() for piece in expected["pieces"]])
    print("the tokens are equal" if same else f"THE TOKENS DIFFER: {expected['pieces']} and {pieces}")
    return same and peak <= limit


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, help="a folder for the gigabytes; the system's temporary one if left out")
    parser.add_argument("--keep", action="store_true", help="leave the gigabytes there")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.keep:
        folder = pathlib.Path(tempfile.mkdtemp(dir=args.work))
        print(f"kept in {folder}")
        sys.exit(0 if run(args, folder) else 1)
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        right = run(args, pathlib.Path(folder))
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
