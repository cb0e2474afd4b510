#include "engine/base/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/file.h"

namespace sf {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Result {
  int status = -1;
  std::string out, err;
};

class FlagsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = (std::filesystem::temp_directory_path() / "sf_flags_XXXXXX").string();
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    folder_ = path;
  }
  void TearDown() override {
    for (const std::string& name : set_) unsetenv(name.c_str());
    std::filesystem::remove_all(folder_);
  }

  void set_environment(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }
  std::string config(const std::string& text) {
    write_file(folder_ / "c.toml", text);
    return (folder_ / "c.toml").string();
  }

  Result run(
      std::vector<std::string> arguments,
      const std::function<int(const CLI::App&)>& body = [](const CLI::App&) { return 0; }) {
    port_ = 8000;
    quiet_ = false;
    names_.clear();
    max_tokens_ = 256;
    arguments.insert(arguments.begin(), "sf-test");
    std::vector<const char*> argv;
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    std::ostringstream out, err;
    const auto configure = [&](CLI::App& app) {
      app.add_option("--http-port", port_, "Port");
      app.add_flag("--quiet", quiet_, "Say nothing");
      app.add_option("--name", names_, "Names");
      app.add_option("--ratio", ratio_, "A share")->check(CLI::Range(0.0, 1.0));
      app.add_subcommand("ask", "Ask")->add_option("--max-tokens", max_tokens_, "Limit");
    };
    const int status = run_program({"sf-test", "A program", "1.2.3"}, static_cast<int>(argv.size()), argv.data(),
                                   configure, body, {out, err});
    return {status, out.str(), err.str()};
  }

  std::filesystem::path folder_;
  std::vector<std::string> set_;
  int port_ = 0;
  bool quiet_ = false;
  std::vector<std::string> names_;
  int max_tokens_ = 0;
  double ratio_ = 0;
};

TEST_F(FlagsTest, FlagBeforeEnvironmentBeforeFileBeforeDefault) {
  const std::string file = config("http-port = 1\n");
  EXPECT_EQ(run({}).status, 0);
  EXPECT_EQ(port_, 8000);
  EXPECT_EQ(run({"--config", file}).status, 0);
  EXPECT_EQ(port_, 1);
  set_environment("SPARSEFUSION_HTTP_PORT", "2");
  run({"--config", file});
  EXPECT_EQ(port_, 2);
  run({"--config", file, "--http-port", "3"});
  EXPECT_EQ(port_, 3);
  set_environment("SPARSEFUSION_HTTP_PORT", "");  // set but empty = not set
  run({"--config", file});
  EXPECT_EQ(port_, 1);
}

TEST_F(FlagsTest, ANumberIsFinite) {
  EXPECT_EQ(run({"--ratio", "0.5"}).status, 0);
  for (const char* text : {"nan", "NAN", "-nan", "inf"}) {
    const Result result = run({"--ratio", text});
    EXPECT_EQ(result.status, kExitUsage) << text;
    EXPECT_NE(result.err.find("--ratio"), std::string::npos) << result.err;
  }
  EXPECT_EQ(ratio_, 0.5);
}

TEST_F(FlagsTest, FilesHoldFlagsListsAndSubcommands) {
  const std::string file = config(
      "# settings\nhttp_port = 8_080 # with a remark\nquiet = true\nname = [\"a # b\", 'c']\n\n[ask]\nmax-tokens = "
      "7\n");
  const Result result = run({"--config", file, "ask"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(port_, 8080);
  EXPECT_TRUE(quiet_);
  EXPECT_EQ(names_, (std::vector<std::string>{"a # b", "c"}));
  EXPECT_EQ(max_tokens_, 7);
}

TEST_F(FlagsTest, EnvironmentReachesFlagsAndSubcommandsAndNamesTheFile) {
  set_environment("SPARSEFUSION_QUIET", "true");
  set_environment("SPARSEFUSION_MAX_TOKENS", "9");
  set_environment("SPARSEFUSION_CONFIG", config("http-port = 5\n"));
  EXPECT_EQ(run({"ask"}).status, 0);
  EXPECT_TRUE(quiet_);
  EXPECT_EQ(max_tokens_, 9);
  EXPECT_EQ(port_, 5);
}

TEST_F(FlagsTest, UsageErrorsAreOneLineAndStatusTwo) {
  set_environment("SPARSEFUSION_UNRELATED", "x");
  const std::vector<std::vector<std::string>> cases = {{"--prot", "1"},
                                                       {"--http-port", "abc"},
                                                       {"--http-port"},
                                                       {"surplus"},
                                                       {"--config", (folder_ / "none.toml").string()},
                                                       {"ask", "--wrong"},
                                                       {"--http-port", "99999999999999999999"}};
  for (const auto& arguments : cases) {
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 2) << arguments[0];
    EXPECT_THAT(result.err, StartsWith("sf-test: "));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

// What failed: all of it is TOML, and was refused.
TEST_F(FlagsTest, FilesAreAnyToml) {
  const std::string file = config(
      "name = [ # on several lines\n  'a', # with remarks\n  \"b\",\n]\nhttp-port = 0x1F90\nask.max_tokens = 3 # dotted\n"
      "ratio = 5e-1\n");
  Result result = run({"--config", file, "ask"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(names_, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(port_, 8080);
  EXPECT_EQ(max_tokens_, 3);
  EXPECT_EQ(ratio_, 0.5);
  result = run({"--config", config("ask = {max-tokens = 4}\nname = \"\"\"x\ny\"\"\""), "ask"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(max_tokens_, 4);
  EXPECT_EQ(names_, (std::vector<std::string>{"x\ny"}));
}

TEST_F(FlagsTest, ErrorsOfTheFileNameTheFileTheLineAndTheKey) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"prot = 1", "unknown key 'prot'"},
      {"[ask]\nmax-token = 1", "line 2: unknown key 'ask.max-token'; did you mean max-tokens?"},
      {"ask.htp = 1", "unknown key 'ask.htp'"},
      {"http-port = \"many\"", "Could not convert: --http-port = many"},
      {"\nratio = 2.0", "line 2: --ratio: "},
      {"quiet = 'perhaps'", "quiet"},
      {"quiet = [true, true]", "--quiet: takes one value"},
      {"\n[asks]\nmax-tokens = 7", "line 3: unknown table 'asks'; did you mean ask?"},
      {"help = true", "key 'help': not allowed in a file"},
      {"quiet = true\nhttp-port 1", "line 2: "},
      {"http-port = 1\nhttp-port = 2", "line 2: key 'http-port': "}};
  for (const auto& [text, reason] : cases) {
    const std::string file = config(text + "\n");
    const Result result = run({"--config", file});
    EXPECT_EQ(result.status, kExitUsage) << text;
    EXPECT_THAT(result.err, HasSubstr(reason)) << text;
    EXPECT_THAT(result.err, StartsWith("sf-test: " + file + ": line ")) << text;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

TEST_F(FlagsTest, AnErrorOfTheCommandLineDoesNotNameTheFile) {
  const std::string file = config("http-port = 1\nratio = 0.5\n");
  const Result result = run({"--config", file, "--http-port", "many"});
  EXPECT_EQ(result.status, kExitUsage);
  EXPECT_THAT(result.err, testing::Not(HasSubstr("line 1")));
  set_environment("SPARSEFUSION_HTTP_PORT", "many");
  EXPECT_THAT(run({"--config", file}).err, testing::Not(HasSubstr("line 1")));
}

TEST_F(FlagsTest, AMistypedFlagCommandOrKeyIsAnsweredWithTheNearest) {
  EXPECT_THAT(run({"--http-prot", "1"}).err, HasSubstr("did you mean --http-port?"));
  EXPECT_THAT(run({"--http-prot=1"}).err, HasSubstr("did you mean --http-port?"));
  EXPECT_THAT(run({"ask", "--max-token", "1"}).err, HasSubstr("did you mean --max-tokens?"));
  EXPECT_THAT(run({"ask", "--htp-port", "1"}).err, HasSubstr("did you mean --http-port?"));
  EXPECT_THAT(run({"aks"}).err, HasSubstr("did you mean ask?"));
  EXPECT_THAT(run({"--config", config("http_prot = 1\n")}).err, HasSubstr("did you mean http-port?"));
  for (const char* word : {"--frobnicate", "xyzzy", "--", "-", "-q", "--max-token"}) {
    EXPECT_THAT(run({word}).err, testing::Not(HasSubstr("did you mean"))) << word;
  }
}

TEST_F(FlagsTest, WrongEnvironmentValueIsAUsageError) {
  set_environment("SPARSEFUSION_HTTP_PORT", "many");
  EXPECT_EQ(run({}).status, 2);
}

TEST_F(FlagsTest, HelpAndVersion) {
  const Result help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.out, HasSubstr("--http-port"));
  EXPECT_THAT(help.out, HasSubstr("SPARSEFUSION_HTTP_PORT"));
  const Result version = run({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_EQ(version.out, "sf-test 1.2.3\n");
  EXPECT_EQ(version.err, "");
}

TEST_F(FlagsTest, FailureOfTheProgramIsOneLineAndStatusOne) {
  const Result result =
      run({}, [](const CLI::App&) -> int { throw Error(Code::kNotFound, "model: no such\ndirectory"); });
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err, "sf-test: model: no such directory\n");
  EXPECT_EQ(run({}, [](const CLI::App&) -> int { throw std::bad_alloc(); }).status, 1);
  EXPECT_EQ(run({}, [](const CLI::App&) { return 5; }).status, 5);
}

}  // namespace
}  // namespace sf
