// JSON Schema's own public test suite (Debian's json-schema-test-suite), and what is known to differ from it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "stele/error.h"
#include "stele/schema.h"

namespace stele {
namespace {

using std::string;

std::filesystem::path suite() {
  return STELE_JSON_SCHEMA_TEST_SUITE;
}

/// Cuts an array into its elements, each as it is written: a parser would round the numbers that are to be tested.
class Elements {
 public:
  explicit Elements(std::string_view text) : text_(text), at_(text.find('[') + 1) {}

  /// The member of the object at `object` (a text that begins with its brace) with this name.
  static std::string_view member(std::string_view object, std::string_view name) {
    std::size_t at = 1;
    while (true) {
      at = object.find_first_not_of(" \t\r\n,", at);
      if (at == std::string_view::npos || object[at] == '}') return {};
      const std::size_t name_end = value_end(object, at);
      const std::string_view found = object.substr(at + 1, name_end - at - 2);
      at = object.find_first_not_of(" \t\r\n:", name_end);
      const std::size_t end = value_end(object, at);
      if (found == name) return object.substr(at, end - at);
      at = end;
    }
  }

  std::string_view next() {
    at_ = text_.find_first_not_of(" \t\r\n,", at_);
    if (at_ == std::string_view::npos || text_[at_] == ']') return {};
    const std::size_t begin = at_;
    at_ = value_end(text_, at_);
    return text_.substr(begin, at_ - begin);
  }

 private:
  static std::size_t value_end(std::string_view text, std::size_t at) {
    int open = 0;
    for (; at < text.size(); ++at) {
      const char c = text[at];
      if (c == '"') {
        for (++at; text[at] != '"'; ++at) at += text[at] == '\\';
        if (open == 0) return at + 1;
      } else if (c == '[' || c == '{') {
        ++open;
      } else if (c == ']' || c == '}') {
        if (open == 0) return at;
        if (--open == 0) return at + 1;
      } else if (open == 0 && (c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t')) {
        return at;
      }
    }
    return at;
  }

  std::string_view text_;
  std::size_t at_;
};

string unquoted(std::string_view text) {
  return nlohmann::json::parse(text).get<string>();
}

struct SuiteRun {
  int tests = 0;
  /// "file: group: test" and what came of it, of those that did not come out as the suite says.
  std::map<string, string> deviations;
};

void run_file(const std::filesystem::path& path, SuiteRun& run) {
  std::ifstream file(path);
  std::stringstream stream;
  stream << file.rdbuf();
  const string text = stream.str();
  Elements groups(text);
  for (std::string_view group = groups.next(); !group.empty(); group = groups.next()) {
    const string name = path.stem().string() + ": " + unquoted(Elements::member(group, "description"));
    std::optional<SchemaValidator> schema;
    string refused;
    try {
      schema = SchemaValidator::compile(Elements::member(group, "schema"));
    } catch (const Error& error) {
      refused = string(to_string(error.code()));
    }
    Elements tests(Elements::member(group, "tests"));
    for (std::string_view test = tests.next(); !test.empty(); test = tests.next()) {
      ++run.tests;
      const string key = name + ": " + unquoted(Elements::member(test, "description"));
      const std::string_view wanted = Elements::member(test, "valid");
      if (!schema) {
        run.deviations[key] = refused;
        continue;
      }
      try {
        const bool valid = schema->check_text(Elements::member(test, "data")).empty();
        if (valid != (wanted == "true")) run.deviations[key] = valid ? "accepted" : "violations";
      } catch (const Error& error) {
        run.deviations[key] = string(to_string(error.code()));
      }
    }
  }
}

SuiteRun run_files(const std::filesystem::path& directory, const std::set<string>& names = {}) {
  SuiteRun run;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".json" && (names.empty() || names.contains(entry.path().stem().string()))) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) run_file(file, run);
  return run;
}

class SchemaSuite : public ::testing::Test {
  void SetUp() override {
    if (!std::filesystem::exists(suite() / "tests/draft7")) GTEST_SKIP() << "json-schema-test-suite is not installed";
  }
};

TEST_F(SchemaSuite, Draft7ComesOutAsKnown) {
  // References to other documents are refused; nothing else differs.
  const string remote = "unsupported";
  const std::map<string, string> known{
      {"definitions: invalid definition: invalid definition schema", remote},
      {"definitions: valid definition: valid definition schema", remote},
      {"ref: remote ref, containing refs itself: remote ref invalid", remote},
      {"ref: remote ref, containing refs itself: remote ref valid", remote},
      {"refRemote: base URI change - change folder in subschema: number is valid", remote},
      {"refRemote: base URI change - change folder in subschema: string is invalid", remote},
      {"refRemote: base URI change - change folder: number is valid", remote},
      {"refRemote: base URI change - change folder: string is invalid", remote},
      {"refRemote: base URI change: base URI change ref invalid", remote},
      {"refRemote: base URI change: base URI change ref valid", remote},
      {"refRemote: fragment within remote ref: remote fragment invalid", remote},
      {"refRemote: fragment within remote ref: remote fragment valid", remote},
      {"refRemote: ref within remote ref: ref within ref invalid", remote},
      {"refRemote: ref within remote ref: ref within ref valid", remote},
      {"refRemote: remote ref: remote ref invalid", remote},
      {"refRemote: remote ref: remote ref valid", remote},
      {"refRemote: root ref in remote ref: null is valid", remote},
      {"refRemote: root ref in remote ref: object is invalid", remote},
      {"refRemote: root ref in remote ref: string is valid", remote},
  };
  const SuiteRun run = run_files(suite() / "tests/draft7");
  EXPECT_GE(run.tests, 400);
  EXPECT_EQ(run.deviations, known);
}

TEST_F(SchemaSuite, OptionalDraft7ComesOutAsKnown) {
  // Its one schema says {"format": "regex"}, and `format` asserts nothing, which the specification allows.
  const std::map<string, string> known{
      {"ecmascript-regex: ECMA 262 regex non-compliance: ECMA 262 has no support for \\Z anchor from .NET",
       "accepted"}};
  const SuiteRun run =
      run_files(suite() / "tests/draft7/optional", {"bignum", "ecmascript-regex", "zeroTerminatedFloats"});
  EXPECT_GE(run.tests, 5);
  EXPECT_EQ(run.deviations, known);
  std::set<string> not_covered;
  for (const auto& entry : std::filesystem::directory_iterator(suite() / "tests/draft7/optional")) {
    not_covered.insert(entry.path().stem().string());
  }
  for (const char* covered : {"bignum", "ecmascript-regex", "zeroTerminatedFloats"}) not_covered.erase(covered);
  EXPECT_EQ(not_covered, (std::set<string>{"content", "format"}));
}

}  // namespace
}  // namespace stele
