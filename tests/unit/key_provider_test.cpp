// Master keys: where they come from, and that wrapped keys open for nobody else.
#include "stele/key_provider.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "crypto.h"
#include "error_of.h"

namespace stele {
namespace {

using std::string;

constexpr const char* key_a = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr const char* key_b = "/////////////////////////////////////////38=";

KeyContext context() {
  return {"acme", "anna 100%\nde Vries", Uuid(Uuid::Bytes{1, 2, 3})};
}

SecretKey subject_key() {
  const string bytes(32, 's');
  return SecretKey::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

/// A directory that goes with the test.
class KeyProviders : public ::testing::Test {
 protected:
  KeyProviders() {
    string place = (std::filesystem::temp_directory_path() / "stele-keys-XXXXXX").string();
    if (::mkdtemp(place.data()) == nullptr) throw std::runtime_error("no directory");
    directory_ = place;
  }
  ~KeyProviders() override { std::filesystem::remove_all(directory_); }

  string file(const string& text, mode_t mode = 0600, const string& name = "keys") {
    const string path = directory_ / name;
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
    return path;
  }
  std::unique_ptr<KeyProvider> keys(const string& text) { return file_key_provider(file(text)); }

  /// A program in shell's language.
  std::unique_ptr<KeyProvider> program(const string& body,
                                       std::chrono::milliseconds timeout = std::chrono::seconds(10)) {
    return command_key_provider(
        {.argv = {file("#!/bin/sh\n" + body, 0700, "program"), "--flag", "two words; $(id)"}, .timeout = timeout});
  }
  string read(const string& name) {
    std::ifstream in(directory_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  string place(const string& name) { return directory_ / name; }

 private:
  std::filesystem::path directory_;
};

TEST_F(KeyProviders, WrapAndUnwrap) {
  const auto provider = keys("# the master keys\n\n  a\t" + string(key_a) + " \r\nb " + key_b + "\n");
  EXPECT_EQ(provider->current_master_key(), "a");
  const WrappedKey wrapped = provider->wrap(subject_key(), context());
  EXPECT_EQ(wrapped.master_key_id, "a");
  EXPECT_EQ(wrapped.bytes.size(), 69U);
  EXPECT_EQ(wrapped.bytes.find("ssss"), string::npos);
  EXPECT_TRUE(provider->unwrap(wrapped, context()) == subject_key());
  EXPECT_NE(provider->wrap(subject_key(), context()).bytes, wrapped.bytes);  // Another nonce each time.
}

TEST_F(KeyProviders, AWrappedKeyOpensForItsOwnSubjectOnly) {
  const auto provider = keys("a " + string(key_a));
  const WrappedKey wrapped = provider->wrap(subject_key(), context());
  const auto refused = [&](auto edit) {
    KeyContext other = context();
    edit(other);
    EXPECT_ERROR(provider->unwrap(wrapped, other), ErrorCode::tampered, "belongs to another tenant");
  };
  refused([](KeyContext& c) { c.tenant = "acm"; });
  refused([](KeyContext& c) { c.subject = "bob"; });
  refused([](KeyContext& c) { c.key_id = Uuid(); });
  refused([](KeyContext& c) {
    c.tenant = "acmea";
    c.subject = c.subject.substr(1);
  });
  for (std::size_t bit = 9 * 8; bit < wrapped.bytes.size() * 8; ++bit) {
    WrappedKey changed = wrapped;
    changed.bytes[bit / 8] = static_cast<char>(changed.bytes[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(testing::error_of([&] { provider->unwrap(changed, context()); }).code(), ErrorCode::tampered) << bit;
  }
  EXPECT_ERROR(provider->unwrap({"a", wrapped.bytes.substr(0, 68)}, context()), ErrorCode::tampered, "damaged");
  EXPECT_ERROR(provider->unwrap({"a", ""}, context()), ErrorCode::tampered, "");
  EXPECT_ERROR(provider->unwrap({"a", "\x02" + wrapped.bytes.substr(1)}, context()), ErrorCode::unsupported, "version");
  EXPECT_ERROR(provider->unwrap({"b", wrapped.bytes}, context()), ErrorCode::key_unavailable,
               "master key b is not among");
  EXPECT_ERROR(provider->unwrap({"x\ny", wrapped.bytes}, context()), ErrorCode::key_unavailable, "an id that is none");
  EXPECT_ERROR(keys("a " + string(key_b))->unwrap(wrapped, context()), ErrorCode::wrong_key, "though it has its id");
}

TEST_F(KeyProviders, TheMasterKeyIsChangedWithoutItsSubjectsKeys) {
  const WrappedKey before = keys("a " + string(key_a))->wrap(subject_key(), context());
  const auto rotated = keys("b " + string(key_b) + "\na " + key_a);
  const std::optional<WrappedKey> after = rewrap(*rotated, before, context());
  ASSERT_TRUE(after);
  EXPECT_EQ(after->master_key_id, "b");
  EXPECT_EQ(rewrap(*rotated, *after, context()), std::nullopt);
  // The old master key may go.
  const auto later = keys("b " + string(key_b));
  EXPECT_TRUE(later->unwrap(*after, context()) == subject_key());
  EXPECT_ERROR(later->unwrap(before, context()), ErrorCode::key_unavailable, "");
}

TEST_F(KeyProviders, AFileIsForItsOwnerOnly) {
  for (const mode_t mode : {0640, 0604, 0660, 0602, 0610, 0644, 0777}) {
    const string path = file("a " + string(key_a), mode);
    EXPECT_ERROR(file_key_provider(path), ErrorCode::permission_denied, "others than its owner have rights to it");
  }
  EXPECT_NO_THROW(file_key_provider(file("a " + string(key_a), 0400)));
  EXPECT_ERROR(file_key_provider(place("none")), ErrorCode::key_unavailable, "cannot be opened");
  EXPECT_ERROR(file_key_provider(place("")), ErrorCode::permission_denied, "is no regular file");
  ::mkfifo(place("fifo").c_str(), 0600);
  EXPECT_ERROR(file_key_provider(place("fifo")), ErrorCode::permission_denied, "is no regular file");
}

TEST_F(KeyProviders, AFaultNamesTheLineAndNoKey) {
  for (const auto& [text, words] : std::vector<std::pair<string, string>>{
           {"", "there is no key in it"},
           {"# only this\n", "there is no key in it"},
           {"\na\n", "line 2: has to be an id, a space and a key"},
           {"a " + string(key_a) + "\nb AAEC\n", "line 2: the key has to have 32 bytes"},
           {"a " + string(key_a).substr(1), "line 1: the key has to be base64"},
           {"a " + string(key_a) + "\na " + key_b, "line 2: the id comes twice"},
           {"\xC3\xA9 " + string(key_a), "line 1: the id has to be"},
       }) {
    const Error error = testing::error_of([&, &t = text] { keys(t); });
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_TRUE(testing::contains(error.message(), words)) << error.message();
    EXPECT_FALSE(testing::contains(error.message(), "AAEC")) << error.message();
  }
}

TEST_F(KeyProviders, TheEnvironmentMayHoldThem) {
  ::setenv("STELE_TEST_KEYS", ("a " + string(key_a) + ";b " + key_b).c_str(), 1);
  const auto provider = open_key_provider("env:STELE_TEST_KEYS");
  EXPECT_EQ(provider->current_master_key(), "a");
  EXPECT_TRUE(provider->unwrap(keys("b " + string(key_b))->wrap(subject_key(), context()), context()) == subject_key());
  ::unsetenv("STELE_TEST_KEYS");
  EXPECT_ERROR(environment_key_provider("STELE_TEST_KEYS"), ErrorCode::key_unavailable, "STELE_TEST_KEYS: is not set");
}

TEST_F(KeyProviders, ANewKeyIsALine) {
  const string line = new_master_key_line("2026-a");
  EXPECT_NE(line, new_master_key_line("2026-a"));
  EXPECT_EQ(keys(line)->current_master_key(), "2026-a");
  EXPECT_ERROR(new_master_key_line("a b"), ErrorCode::invalid_argument, "master key id");
  EXPECT_ERROR(new_master_key_line(""), ErrorCode::invalid_argument, "master key id");
}

TEST_F(KeyProviders, ADescriptionOpensEach) {
  EXPECT_EQ(open_key_provider("file:" + file("x " + string(key_a)))->current_master_key(), "x");
  const string path = file("#!/bin/sh\necho \"master_key_id: $1-$2-$#\"\n", 0700, "p");
  EXPECT_EQ(open_key_provider("command:" + path + "  one two ")->current_master_key(), "one-two-2");
  for (const char* description : {"", "file", "file:", "http:x", "command:", "env:"}) {
    EXPECT_ERROR(open_key_provider(description), ErrorCode::invalid_argument, "key provider: has to be file:PATH");
  }
}

// --- A program

TEST_F(KeyProviders, AProgramGetsKeysThroughItsInputOnly) {
  const auto provider = program("cat > " + place("input") + "\necho \"$0 $*\" > " + place("arguments") + "\nenv > " +
                                place("environment") + "\necho 'master_key_id: kms-1'\necho 'wrapped: d3JhcHBlZA=='\n");
  const WrappedKey wrapped = provider->wrap(subject_key(), context());
  EXPECT_EQ(wrapped, (WrappedKey{"kms-1", "wrapped"}));
  const string key = detail::base64(string(32, 's'));
  EXPECT_EQ(read("input"),
            "stele-key-command: 1\noperation: wrap\ntenant: acme\nsubject: anna%20100%25%0Ade%20Vries\n"
            "key_id: 01020300-0000-0000-0000-000000000000\nkey: " +
                key + "\n");
  EXPECT_TRUE(testing::contains(read("arguments"), "--flag two words; $(id)\n"));
  EXPECT_FALSE(testing::contains(read("arguments"), key));
  EXPECT_FALSE(testing::contains(read("environment"), key));
}

TEST_F(KeyProviders, AProgramUnwraps) {
  const auto provider = program("cat > " + place("input") + "\necho 'key: " + detail::base64(string(32, 's')) + "'\n");
  EXPECT_TRUE(provider->unwrap({"kms-1", "wrapped"}, context()) == subject_key());
  EXPECT_TRUE(testing::contains(read("input"), "operation: unwrap\n"));
  EXPECT_TRUE(testing::contains(read("input"), "\nmaster_key_id: kms-1\nwrapped: d3JhcHBlZA==\n"));
  EXPECT_EQ(program("echo 'master_key_id: kms-2'")->current_master_key(), "kms-2");
}

TEST_F(KeyProviders, AProgramsFailureTellsNoSecret) {
  const string secret = detail::base64(string(32, 's'));
  for (const auto& [body, code, words] : std::vector<std::tuple<string, ErrorCode, string>>{
           {"echo key: " + secret + "; echo " + secret + " >&2; exit 1", ErrorCode::key_unavailable, "exit code 1"},
           {"cat >/dev/null; exit 3", ErrorCode::tampered, "does not open"},
           {"kill -9 $$", ErrorCode::key_unavailable, "ended by a signal"},
           {"echo " + secret, ErrorCode::key_unavailable, "has no \"key\""},
           {"echo 'key: !!!'", ErrorCode::key_unavailable, "has no \"key\""},
           {"echo 'key: c2hvcnQ='", ErrorCode::key_unavailable, "32 bytes"},
           {"head -c 100000 /dev/zero; echo", ErrorCode::key_unavailable, "too long"},
           {"exec 0<&-; exit 5", ErrorCode::key_unavailable, "exit code 5"},
       }) {
    const Error error = testing::error_of([&, &b = body] {
      program(b)->unwrap({"a", string(60'000, 'w')}, context());
    });
    EXPECT_EQ(to_string(error.code()), to_string(code)) << body;
    EXPECT_TRUE(testing::contains(error.message(), words)) << error.message();
    EXPECT_FALSE(testing::contains(error.message(), secret)) << error.message();
    // A program that ended on its own account may have met a service that is away for a while.
    EXPECT_EQ(error.retryable(), words.starts_with("exit code") || words.starts_with("ended")) << body;
  }
  EXPECT_ERROR(command_key_provider({.argv = {place("none")}})->current_master_key(), ErrorCode::key_unavailable,
               "cannot be started");
  EXPECT_ERROR(command_key_provider({}), ErrorCode::invalid_argument, "names no program");
  EXPECT_ERROR(command_key_provider({.argv = {"x"}, .timeout = std::chrono::milliseconds(0)}),
               ErrorCode::invalid_argument, "timeout");
}

TEST_F(KeyProviders, AProgramThatTakesTooLongIsKilledWithItsChildren) {
  for (const char* body : {"sleep 60 & echo $! > CHILD; wait", "sleep 60 & echo $! > CHILD; exec >&-; wait",
                           "cat > /dev/null; sleep 60 & echo $! > CHILD; exec sleep 60"}) {
    string script = body;
    script.replace(script.find("CHILD"), 5, place("child"));
    const auto begin = std::chrono::steady_clock::now();
    const Error error =
        testing::error_of([&] { program(script, std::chrono::milliseconds(300))->current_master_key(); });
    EXPECT_EQ(error.code(), ErrorCode::key_unavailable) << error.message();
    EXPECT_TRUE(error.retryable());
    EXPECT_TRUE(testing::contains(error.message(), "in time")) << error.message();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
    const int child = std::stoi(read("child"));
    bool gone = false;
    for (int i = 0; i < 1000 && !gone; ++i) {
      // Its parent is gone; until somebody has taken its status it is a zombie.
      std::ifstream status("/proc/" + std::to_string(child) + "/stat");
      string text((std::istreambuf_iterator<char>(status)), {});
      gone = text.empty() || testing::contains(text, ") Z ");
      if (!gone) ::usleep(10'000);
    }
    EXPECT_TRUE(gone) << script;
  }
}

TEST_F(KeyProviders, AProgramThatDoesNotReadEndsNobody) {
  // Without care the write to it would be this process's end.
  const auto provider = program("exec 0<&-\necho 'key: " + detail::base64(string(32, 's')) + "'\nsleep 0.1\n");
  EXPECT_TRUE(provider->unwrap({"a", string(5 << 20, 'w')}, context()) == subject_key());
}

TEST_F(KeyProviders, AProgramGetsNoOtherDescriptor) {
  const int open = ::dup(0);  // Not closed on exec.
  EXPECT_EQ(program("ls /proc/self/fd | wc -l > " + place("count") + "\necho 'master_key_id: a'")->current_master_key(),
            "a");
  ::close(open);
  EXPECT_EQ(std::stoi(read("count")), 4);  // 0, 1, 2, and the directory that is listed
}

}  // namespace
}  // namespace stele
