// sparsefusion-model: offline work on one checkpoint.
#include "engine/base/flags.h"
#include "engine/base/wait_policy.h"
#include "tools/model/commands.h"

namespace {

void add_common(CLI::App* command, sf::OfflineCommandOptions& o) {
  command->add_option("--model,model", o.model, "Checkpoint directory")->required();
  command->add_option("--device", o.device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  command
      ->add_option("--threads", o.threads,
                   "Threads of the maths; 0 = the processors this process may use, cgroup quota included")
      ->capture_default_str();
}

void add_explain(CLI::App& app, sf::OfflineCommandOptions& o) {
  CLI::App* explain = app.add_subcommand("explain", "Where an answer came from: heatmaps, experts, logit lens");
  add_common(explain, o);
  explain->add_option("--image", o.image, "PNG, JPEG or WebP file");
  explain->add_option("--question", o.question, "The question");
  explain->add_option("--method", o.method, "attention, rollout, relevancy or occlusion")->capture_default_str();
  explain->add_option("--layer", o.layer, "Of method attention; -1 = the mean of all")->capture_default_str();
  explain->add_option("--head", o.head, "Of method attention; -1 = the mean of all")->capture_default_str();
  explain->add_option("--max-tokens", o.max_tokens, "Tokens of the answer; 32 at most are explained")
      ->capture_default_str();
  explain->add_option("--out", o.out, "Folder for the overlays (PNG)");
  explain->add_flag("--json", o.json, "Print the Explain object");
  explain->add_option("--data", o.explain_data, "sort-of-clevr: the pointing game, and what experts specialise in");
  explain->add_option("--images", o.images, "Pictures of --data")->capture_default_str();
  explain->add_option("--seed", o.seed, "Of the pictures of --data")->capture_default_str();
}

void add_commands(CLI::App& app, sf::OfflineCommandOptions& o) {
  app.require_subcommand(1);
  CLI::App* inspect = app.add_subcommand("inspect", "Architecture, parameters, expert usage and preprocessing");
  add_common(inspect, o);
  CLI::App* bundle = app.add_subcommand("bundle", "Copy a checkpoint without its training state");
  bundle->add_option("model", o.model, "Checkpoint directory")->required();
  bundle->add_option("destination", o.destination, "Folder to make")->required();
  CLI::App* convert = app.add_subcommand("convert", "Make a checkpoint of another project's model");
  convert
      ->add_option(
          "--from", o.from,
          "hf: a Hugging Face directory (LLaVA, Llama, Mistral, Mixtral); seed: a .pth of the original SparseFusion; timm, clip: a vision encoder's .safetensors, for sparsefusion-train --vit-init")
      ->required();
  convert->add_option("source", o.source, "The directory or file")->required();
  convert->add_option("--out", o.destination, "Checkpoint directory to make")->required();
  convert->add_option("--prompt-template", o.prompt_template,
                      "plain, llava-1.5 or mistral; default: what fits the architecture");
  convert
      ->add_option("--image-size", o.vision.image_size,
                   "timm, clip: sides of the pictures in pixels; default: the encoder's own")
      ->check(CLI::Range(1, 4096));
  convert
      ->add_option("--heads", o.vision.num_heads,
                   "timm, clip: attention heads; default: config.json's, else width / 64")
      ->check(CLI::Range(1, 1024));
  convert->add_option("--features", o.vision.features, "timm, clip: patches, all (class token first) or class")
      ->capture_default_str();
  convert
      ->add_option("--feature-layer", o.vision.feature_layer,
                   "timm, clip: -2 leaves the last block and the final norm out, as LLaVA; 0 = neither")
      ->capture_default_str();
  convert->add_option("--dtype", o.dtype, "Of the weights written: f32 or bf16")->capture_default_str();
  convert->add_option("--characters", o.characters,
                      "seed: UTF-8 file with the vocabulary's characters in order; default: the original's 65");
  CLI::App* answer = app.add_subcommand("answer", "Answer one question about one picture");
  answer->add_option("--model", o.model, "Checkpoint directory")->required();
  answer->add_option("image", o.image, "PNG, JPEG or WebP file; none for a model that reads text alone")->required();
  answer->add_option("question", o.question, "The question")->required();
  answer->add_option("--max-tokens", o.max_tokens, "Tokens of the answer at most")->capture_default_str();
  answer->add_flag("--json", o.json, "Print JSON");
  CLI::App* eval = app.add_subcommand("eval", "Accuracy by kind of question, beside the blind optimum");
  add_common(eval, o);
  eval->add_option("--data", o.data, "sort-of-clevr, or a .jsonl of your own")->capture_default_str();
  eval->add_option("--images", o.images, "Held-out pictures")->capture_default_str();
  eval->add_option("--seed", o.seed, "Of the held-out pictures")->capture_default_str();
  add_explain(app, o);
  CLI::App* bench = app.add_subcommand("bench", "Answers and tokens a second by batch size, decoding included");
  add_common(bench, o);
  bench->add_option("--pairs", o.pairs, ".jsonl of pictures and questions; default: generated ones");
  bench->add_option("--requests", o.requests, "Pairs at most")->capture_default_str();
  bench->add_option("--batches", o.batches, "Batch sizes")->capture_default_str();
  bench
      ->add_option("--shared-picture", o.shared_questions,
                   "Compare so many questions about one picture with as many pictures, by the prefix cache; 0 = off")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  bench->add_option("--rounds", o.rounds, "Rounds; medians are printed")->capture_default_str();
  bench->add_option("--seed", o.seed, "Of the generated pictures")->capture_default_str();
  bench->add_flag("--json", o.json, "One JSON object a line");
}

int run(const CLI::App& app, const sf::OfflineCommandOptions& o) {
  if (app.got_subcommand("inspect")) return sf::inspect_command(o);
  if (app.got_subcommand("bundle")) return sf::bundle_command(o);
  if (app.got_subcommand("convert")) return sf::convert_command(o);
  if (app.got_subcommand("answer")) return sf::answer_command(o);
  if (app.got_subcommand("explain")) return sf::explain_command(o);
  if (app.got_subcommand("eval")) return sf::eval_command(o);
  return sf::bench_command(o);
}

}  // namespace

int main(int argc, char** argv) {
  sf::wait_without_spinning(argv);
  sf::OfflineCommandOptions options;
  return sf::run_program(
      {"sparsefusion-model", "Offline work on one checkpoint", SF_VERSION}, argc, argv,
      [&](CLI::App& app) { add_commands(app, options); }, [&](const CLI::App& app) { return run(app, options); });
}
