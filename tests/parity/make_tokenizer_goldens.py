"""What transformers makes of texts and prompts with SentencePiece tokenizers that say `legacy: true`, `false` or nothing.

    python make_tokenizer_goldens.py --out tests/parity/goldens [--seed 1]

Needs OUT/llava, OUT/llama and OUT/mixtral of the other scripts. Writes OUT/tokenizer/trimming.model, a vocabulary that removes
extra spaces, and OUT/tokenizer/cases.json: per variant the directory it starts from ("base"), its tokenizer_config.json,
whether trimming.model stands for its own, its tokenizer.json or null, "texts" [[text, ids]] and "prompts"
[[template, turns, ids]] where a turn is ["image", tokens], ["user", text], ["assistant", text] or ["system", text].
"""
import argparse
import json
import pathlib
import shutil
import tempfile

import transformers

import make_text_goldens as text

IMAGE = "<image>"
TEXTS = ["hello", "what shape is the red object", " red", "  two  spaces ", "", " ", "\n\nlines\n", "\tred", "\u2581what",
         "\U0001F600 red", "\u00e9", "x\u00adx", "\u65e5\u672c no", "two.three", "USER: 7 + 12 = 19", "a" * 40]
QUESTIONS = ["what shape is the red object", "  spaced ", "\U0001F600", "\u00e9t\u00e9 \u2581 7"]


def render(template: str, turns: list) -> str:
    """The string that the model's chat template writes; `mistral` begins with <s> itself."""
    mistral, out, opened, system = template == "mistral", "<s>" if template == "mistral" else "", False, ""
    before, image_after, after = {"plain": ("", "", ""), "llava-1.5": ("USER: ", "\n", " ASSISTANT:"),
                                  "mistral": ("[INST] ", "\n", " [/INST]")}[template]
    for kind, value in turns:
        if kind in ("image", "user") and not opened:
            out, opened = out + before, True
        if kind == "image":
            out += IMAGE * value + image_after
        elif kind == "user":
            out, opened, system = out + system + value + after, False, ""
        elif kind == "assistant":
            out += f" {value}</s>"
        elif mistral:
            system = value + "\n\n"
        else:
            out += value + " "
    return out


def conversations() -> list:
    """`plain` puts nothing between a question and its answer and encodes each by itself, which no string says: no turns there."""
    turns = [[["image", 3], ["user", question]] for question in QUESTIONS]
    turns.append([["image", 2], ["user", "what shape"], ["assistant", "red circle"], ["user", "why"]])
    turns.append([["image", 2], ["image", 1], ["user", " two "], ["assistant", " no "], ["image", 2], ["user", " and now"]])
    turns.append([["user", " no picture"], ["assistant", "yes"], ["user", "  "], ["assistant", "\u00e9"], ["user", "end"]])
    out = [("plain", turn) for turn in turns[:len(QUESTIONS)]]
    out += [(template, turn) for template in ("llava-1.5", "mistral") for turn in turns]
    said = [["system", "be brief"], ["image", 1], ["user", "what"]]
    return out + [("llava-1.5", said), ("mistral", said)]


def variants() -> list:
    """(name, base, extra keys, trims, backend of tokenizer.json or None)"""
    out = []
    for base in ("llava", "llama", "mixtral"):
        for legacy in (True, False, None):
            keys = {} if legacy is None else {"legacy": legacy}
            out.append((f"{base}-{legacy}", base, keys, False, None))
    out.append(("llama-no-class", "llama", {"legacy": False, "tokenizer_class": None}, False, None))
    out += [(f"trims-{legacy}", "llava", {"legacy": legacy}, True, None) for legacy in (True, False)]
    out.append(("json-prepend", "llava", {"legacy": False}, False, "Prepend"))
    out.append(("json-first", "mixtral", {"legacy": True}, False, "first"))
    out.append(("json-always", "llava", {"legacy": False}, False, "always"))
    return out


def tokenizer_json(tokenizer, form: str) -> dict:
    """As transformers 4 wrote it (Prepend), or with a Metaspace of that scheme."""
    out = json.loads(tokenizer.backend_tokenizer.to_str())
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    if form == "Prepend":
        prepend = {"type": "Prepend", "prepend": "\u2581"}
        return out | {"normalizer": {"type": "Sequence", "normalizers": [prepend, replace]}, "pre_tokenizer": None}
    return out | {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581",
                                                        "prepend_scheme": form, "split": False}}


def measure(out: pathlib.Path, name: str, base: str, keys: dict, trims: bool, form: str | None) -> dict:
    config = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>",
              "eos_token": "</s>", "unk_token": "<unk>", "added_tokens_decoder": {
                  str(i): {"content": piece, "special": True}
                  for i, piece in ((0, "<unk>"), (1, "<s>"), (2, "</s>"), (310, IMAGE))}} | keys
    config = {key: value for key, value in config.items() if value is not None}
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)
        shutil.copy(out / base / "config.json", directory)
        shutil.copy(out / "tokenizer/trimming.model" if trims else out / base / "tokenizer.model", directory / "tokenizer.model")
        (directory / "tokenizer_config.json").write_text(json.dumps(config))
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        stored = None
        if form:
            stored = tokenizer_json(tokenizer, form)
            (directory / "tokenizer.json").write_text(json.dumps(stored))
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            stored = {key: stored[key] for key in ("normalizer", "pre_tokenizer")}  # all that the import reads
        prompts = [[template, turns, tokenizer.encode(render(template, turns), add_special_tokens=template != "mistral")]
                   for template, turns in conversations()]
        return {"name": name, "base": base, "tokenizer_config": config, "trims": trims, "tokenizer_json": stored,
                "texts": [[line, tokenizer.encode(line)] for line in TEXTS], "prompts": prompts}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    (args.out / "tokenizer").mkdir(parents=True, exist_ok=True)
    (args.out / "tokenizer/trimming.model").write_bytes(text.tokenizer_model(args.seed, trims=True))
    cases = [measure(args.out, *variant) for variant in variants()]
    lines = ",\n ".join(json.dumps(case) for case in cases)
    (args.out / "tokenizer/cases.json").write_text(f"[{lines}]\n")


if __name__ == "__main__":
    main()
