#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "client/commands.h"

namespace sf::client {
namespace {

std::string joined(const std::vector<int>& numbers) {
  std::string text;
  for (const int number : numbers) {
    if (!text.empty()) text += ',';
    text += std::to_string(number);
  }
  return text;
}

// Control characters would break the line.
std::string printable(std::string text) {
  for (char& c : text) c = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  return text;
}

void print_token(const Explained& explained, const Explained::Token& token, std::ostream& out) {
  char line[128];
  const int columns = std::max(1, explained.columns);
  std::snprintf(line, sizeof(line), "  %6.4f  row %2d column %2d  ", std::exp(token.logprob), token.cell / columns,
                token.cell % columns);
  out << line;
  for (size_t layer = 0; layer < token.experts.size(); ++layer)
    out << (layer > 0 ? " | " : "") << joined(token.experts[layer]);
  if (token.experts.empty()) out << "-";
  out << "  " << printable(token.text) << "\n";
}

void write_image(const std::string& path, const std::string& png) {
  std::ofstream file(path, std::ios::binary);
  file << png;
  file.close();
  if (!file) throw ClientError("INTERNAL", "cannot write " + path);
}

}  // namespace

int run_explain(Client& client, ExplainCommand command, std::ostream& out) {
  command.question.question.image = read_file(command.image_path);
  command.question.image = !command.output_path.empty();
  const Explained explained = client.explain(command.question);
  out << explained.answer << "\n"
      << "method " << explained.method << ", version " << explained.model_version << ", picture "
      << explained.image_width << " x " << explained.image_height << " pixels as " << explained.rows << " x "
      << explained.columns << " tokens\n"
      << "  prob    looks most at      experts by layer  token\n";
  for (const Explained::Token& token : explained.tokens) print_token(explained, token, out);
  if (!command.output_path.empty()) {
    write_image(command.output_path, explained.png);
    out << "wrote " << command.output_path << "\n";
  }
  out.flush();
  return 0;
}

}  // namespace sf::client
