#include "client/settings.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "engine/base/flags.h"

namespace sf::client {
namespace {

// A program with the client's kinds of options, parsed from a command line, variables and a file.
class SettingsTest : public testing::Test {
 protected:
  SettingsTest() : file_(std::filesystem::path(testing::TempDir()) / ("settings." + std::to_string(getpid()))) {}
  ~SettingsTest() override {
    std::filesystem::remove(file_);
    for (const char* name : {"SPARSEFUSION_SERVER", "SPARSEFUSION_GRPC", "SPARSEFUSION_RETRIES", "SPARSEFUSION_REST",
                             "SPARSEFUSION_CONFIG"})
      ::unsetenv(name);
  }
  void set(const char* name, const char* value) { ::setenv(name, value, 1); }
  void write(const std::string& text) { std::ofstream(file_) << text; }

  Connection parse(std::vector<std::string> arguments) {
    CLI::App app("", "sparsefusion");
    add_config_option(app, "");
    app.fallthrough();
    Connection connection;
    bool rest = false;
    app.add_option("--server", connection.url);
    app.add_option("--grpc", connection.grpc_target);
    app.add_option("--retries", connection.num_retries);
    app.add_flag("--rest", rest);
    app.add_option("--choice", choices_);
    app.add_subcommand("ask", "")->add_option("--max-tokens", max_tokens_);
    name_environment_variables(app);
    if (std::filesystem::exists(file_) && !is_set_in_environment("config"))
      arguments.insert(arguments.begin(), {"--config", file_.string()});
    const std::vector<std::string> given = arguments;
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants a vector
    app.parse(arguments);
    ConnectionChoice choice;
    choice.server = source_of(*app.get_option("--server"), given);
    choice.grpc = source_of(*app.get_option("--grpc"), given);
    choice.rest = rest ? source_of(*app.get_option("--rest"), given) : Source::kDefault;
    choice.asks = app.got_subcommand("ask");
    sources_ = choice;
    return choose_connection(connection, choice);
  }

  const std::filesystem::path file_;
  ConnectionChoice sources_;
  std::vector<std::string> choices_;
  int max_tokens_ = 0;
};

TEST_F(SettingsTest, AFlagCountsBeforeAVariableAndAVariableBeforeTheFile) {
  EXPECT_EQ(parse({}).url, kDefaultUrl);
  EXPECT_EQ(sources_.server, Source::kDefault);
  write("server = \"http://file\"\nretries = 1\n");
  EXPECT_EQ(parse({}).url, "http://file");
  EXPECT_EQ(sources_.server, Source::kFile);
  set("SPARSEFUSION_SERVER", "http://variable");
  EXPECT_EQ(parse({}).url, "http://variable");
  EXPECT_EQ(sources_.server, Source::kEnvironment);
  EXPECT_EQ(parse({}).num_retries, 1);
  set("SPARSEFUSION_RETRIES", "2");
  EXPECT_EQ(parse({}).num_retries, 2);
  EXPECT_EQ(parse({"--server", "http://flag"}).url, "http://flag");
  EXPECT_EQ(sources_.server, Source::kFlag);
  EXPECT_EQ(parse({"ask", "--server=http://flag"}).url, "http://flag");
  EXPECT_EQ(sources_.server, Source::kFlag);
}

// What failed: the client read a dialect of its own.
TEST_F(SettingsTest, TheFileIsAnyToml) {
  write("server = 'http://file' # literal\nchoice = [\n  \"red\", # the first\n  'blue',\n]\nask.max_tokens = 3\n");
  EXPECT_EQ(parse({"ask"}).url, "http://file");
  EXPECT_EQ(choices_, (std::vector<std::string>{"red", "blue"}));
  EXPECT_EQ(max_tokens_, 3);
  write("ask = {max-tokens = 4}\n");
  parse({"ask"});
  EXPECT_EQ(max_tokens_, 4);
  for (const char* text : {"server = http://file\n", "sever = 'x'\n", "[asks]\nmax-tokens = 1\n"}) {
    write(text);
    EXPECT_THROW(parse({}), CLI::ConfigError) << text;
  }
}

// What failed: --help named the variable, and it was read too late.
TEST_F(SettingsTest, AVariableNamesTheFile) {
  write("server = 'http://file'\n");
  set("SPARSEFUSION_CONFIG", file_.c_str());
  EXPECT_EQ(parse({}).url, "http://file");
  set("SPARSEFUSION_CONFIG", "/no/such/file");
  EXPECT_THROW(parse({}), CLI::FileError);
}

// What failed: a variable named a gRPC server, and --server on the command line was not asked.
TEST_F(SettingsTest, AFlagBeatsAVariableOfAnotherTransport) {
  set("SPARSEFUSION_GRPC", "variable:1");
  EXPECT_EQ(parse({"ask"}).grpc_target, "variable:1");
  const Connection connection = parse({"ask", "--server", "http://flag"});
  EXPECT_EQ(connection.grpc_target, "");
  EXPECT_EQ(connection.url, "http://flag");
  EXPECT_EQ(parse({"ask", "--rest"}).grpc_target, "");
  set("SPARSEFUSION_SERVER", "http://variable");
  EXPECT_EQ(parse({"ask"}).grpc_target, "variable:1") << "of equals gRPC comes first";
  EXPECT_EQ(parse({"ask", "--grpc", "flag:1"}).grpc_target, "flag:1");
  EXPECT_EQ(parse({"ask", "--grpc", "flag:1", "--rest"}).grpc_target, "");
  set("SPARSEFUSION_REST", "true");
  EXPECT_EQ(parse({"ask"}).grpc_target, "");
  EXPECT_EQ(parse({"ask", "--grpc", "flag:1"}).grpc_target, "flag:1");
}

TEST_F(SettingsTest, AVariableBeatsTheFilesServerOfAnotherTransport) {
  write("grpc = \"file:1\"\n");
  EXPECT_EQ(parse({"ask"}).grpc_target, "file:1");
  set("SPARSEFUSION_SERVER", "http://variable");
  EXPECT_EQ(parse({"ask"}).grpc_target, "");
}

TEST(ChooseConnectionTest, QuestionsGoOverGrpcByDefaultAndTheRestOverRest) {
  EXPECT_EQ(choose_connection({}, {.asks = true}).grpc_target, kDefaultGrpcTarget);
  EXPECT_EQ(choose_connection({}, {}).grpc_target, "");
  EXPECT_EQ(choose_connection({}, {.server = Source::kFlag, .asks = true}).grpc_target, "");
  Connection connection;
  connection.grpc_target = "a:1";
  EXPECT_EQ(choose_connection(connection, {.grpc = Source::kFlag, .rest_only = true}).grpc_target, "");
  connection.tls = true;
  EXPECT_EQ(choose_connection(connection, {}).url, kDefaultTlsUrl);
}

TEST(ChooseConnectionTest, CommandsGoToTheManagementPortUnlessToldOtherwise) {
  Connection named;
  named.url = "http://named";
  named.grpc_target = "named:1";
  ConnectionChoice choice{.admin_url = "http://admin", .commands = true};
  EXPECT_EQ(choose_connection({}, choice).url, "http://admin");
  choice.server = Source::kFlag;
  EXPECT_EQ(choose_connection(named, choice).url, "http://named");
  EXPECT_EQ(choose_connection(named, choice).grpc_target, "");
  choice.admin = Source::kEnvironment;
  EXPECT_EQ(choose_connection(named, choice).url, "http://named") << "the flag beats the variable";
  choice.admin = Source::kFlag;
  EXPECT_EQ(choose_connection(named, choice).url, "http://admin");
  choice = {.grpc = Source::kEnvironment, .admin_url = "http://admin", .commands = true};
  EXPECT_EQ(choose_connection(named, choice).grpc_target, "named:1");
}

TEST(UsageErrorTest, IsOneLineWithTheNearest) {
  CLI::App app("", "sparsefusion");
  bool ready = false;
  app.require_subcommand(0, 1);
  app.fallthrough();
  app.add_option("--server", "");
  app.add_subcommand("health", "")->add_flag("--ready", ready);
  const auto said = [&](std::vector<std::string> arguments) -> std::string {
    std::reverse(arguments.begin(), arguments.end());
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      return usage_error(app, error);
    }
    return "accepted";
  };
  EXPECT_NE(said({"helath"}).find("did you mean health?"), std::string::npos);
  EXPECT_NE(said({"health", "--raedy"}).find("did you mean --ready?"), std::string::npos);
  EXPECT_NE(said({"health", "--sever=x"}).find("did you mean --server?"), std::string::npos);
  EXPECT_EQ(said({"--frobnicate"}).find("did you mean"), std::string::npos);
  EXPECT_EQ(said({"--frobnicate"}).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace sf::client
