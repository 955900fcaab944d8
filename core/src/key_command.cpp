#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "crypto.h"
#include "key_text.h"
#include "stele/error.h"
#include "stele/key_provider.h"
#include "uri_reference.h"

extern char** environ;

namespace stele {
namespace {

using detail::Bytes;
using Clock = std::chrono::steady_clock;

constexpr std::size_t answer_bytes = 64 << 10;
constexpr int does_not_open = 3;

class Descriptor {
 public:
  explicit Descriptor(int descriptor = -1) noexcept : descriptor_(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Descriptor() { close(); }
  void close() noexcept {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }
  int get() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

/// What has to be destroyed of posix_spawn's arguments.
struct SpawnArguments {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnArguments() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  SpawnArguments(const SpawnArguments&) = delete;
  SpawnArguments& operator=(const SpawnArguments&) = delete;
  ~SpawnArguments() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
};

/// A child that is in a group of its own, and gone when this is.
class Child {
 public:
  explicit Child(pid_t pid) noexcept : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  /// Its exit code; -1 when a signal ended it; nullopt at the deadline. 0 as well when this program does not get to
  /// know it, because it ignores SIGCHLD or takes every child's status: then the answer has to speak for itself.
  std::optional<int> wait(Clock::time_point deadline) {
    for (std::chrono::milliseconds pause{1};; pause = std::min(pause * 2, std::chrono::milliseconds(50))) {
      siginfo_t ended{};
      const int looked = ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT);
      if (looked != 0 && errno == ECHILD) {
        pid_ = 0;
        return 0;
      }
      if (looked == 0 && ended.si_pid == pid_) {
        ::kill(-pid_, SIGKILL);  // What it left behind in its group, while nobody else can have the group's number.
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      }
      if (Clock::now() >= deadline) return std::nullopt;
      std::this_thread::sleep_for(pause);
    }
  }

 private:
  pid_t pid_;
};

/// As it may stand on a line.
std::string on_a_line(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7F || c == '%') {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
  return out;
}

class KeyCommand final : public KeyProvider {
 public:
  explicit KeyCommand(KeyCommandOptions options) : options_(std::move(options)) {
    if (options_.argv.empty() || options_.argv.front().empty()) {
      throw Error(ErrorCode::invalid_argument, "key command: names no program");
    }
    for (const std::string& argument : options_.argv) {
      if (argument.find('\0') != std::string::npos) {
        throw Error(ErrorCode::invalid_argument, "key command: an argument contains NUL");
      }
    }
    if (options_.timeout <= std::chrono::milliseconds(0)) {
      throw Error(ErrorCode::invalid_argument, "key command: the timeout has to be greater than 0");
    }
  }

  std::string current_master_key() override {
    std::string question = "stele-key-command: 1\noperation: current\n";
    std::string answer = ask(question);
    const detail::Wiped wiped(answer);
    return master_key_id(answer);
  }

  WrappedKey wrap(const SecretKey& key, const KeyContext& context) override {
    std::string question;
    const detail::Wiped wiped_question(question);
    question.reserve(4096);
    question += "stele-key-command: 1\noperation: wrap\n";
    add_context(context, question);
    question += "key: ";
    detail::append_base64({reinterpret_cast<const char*>(key.bytes().data()), SecretKey::size}, question);
    question += '\n';
    std::string answer = ask(question);
    const detail::Wiped wiped(answer);
    std::optional<Bytes> wrapped = detail::from_base64(field(answer, "wrapped"));
    if (!wrapped || wrapped->empty()) fail("its answer has no \"wrapped\" in base64");
    return {master_key_id(answer), std::move(*wrapped)};
  }

  SecretKey unwrap(const WrappedKey& wrapped, const KeyContext& context) override {
    if (!detail::is_master_key_id(wrapped.master_key_id)) {
      throw Error(ErrorCode::key_unavailable, "a wrapped key names a master key with an id that is none");
    }
    std::string question = "stele-key-command: 1\noperation: unwrap\n";
    add_context(context, question);
    question += "master_key_id: " + wrapped.master_key_id + "\nwrapped: " + detail::base64(wrapped.bytes) + "\n";
    std::string answer = ask(question);
    const detail::Wiped wiped(answer);
    std::optional<Bytes> key = detail::from_base64(field(answer, "key"));
    if (!key || key->empty()) fail("its answer has no \"key\" in base64");
    const detail::Wiped wiped_key(*key);
    if (key->size() != SecretKey::size) fail("the key in its answer does not have 32 bytes");
    return SecretKey::from_bytes({reinterpret_cast<const std::uint8_t*>(key->data()), key->size()});
  }

 private:
  [[noreturn]] void fail(const std::string& why, bool retryable = false) const {
    throw Error(ErrorCode::key_unavailable, "key command " + options_.argv.front() + ": " + why,
                {.backend = {}, .native_code = 0, .sqlstate = {}, .retryable = retryable});
  }

  static void add_context(const KeyContext& context, std::string& question) {
    question += "tenant: " + on_a_line(context.tenant) + "\nsubject: " + on_a_line(context.subject) +
                "\nkey_id: " + context.key_id.to_string() + "\n";
  }

  static std::string_view field(std::string_view answer, std::string_view name) {
    while (!answer.empty()) {
      const std::size_t end = std::min(answer.find('\n'), answer.size());
      std::string_view line = answer.substr(0, end);
      answer.remove_prefix(std::min(end + 1, answer.size()));
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.starts_with(name) && line.substr(name.size()).starts_with(": ")) return line.substr(name.size() + 2);
    }
    return {};
  }

  std::string master_key_id(std::string_view answer) const {
    const std::string_view id = field(answer, "master_key_id");
    if (!detail::is_master_key_id(id)) fail("its answer has no \"master_key_id\"");
    return std::string(id);
  }

  std::string ask(const std::string& question) const {
    const Clock::time_point deadline = Clock::now() + options_.timeout;
    Descriptor input, output;
    Child child(start(input, output));
    std::string answer;
    answer.reserve(answer_bytes);  // So that no part of a key is left where the answer was before it grew.
    try {
      exchange(question, input, output, deadline, answer);
      output.close();
      const std::optional<int> code = child.wait(deadline);
      if (!code) fail("did not end in time", true);
      if (*code == does_not_open) {
        throw Error(ErrorCode::tampered, "key command " + options_.argv.front() + ": says that the key does not open");
      }
      // What it asks may be out of reach for a while.
      if (*code != 0)
        fail(*code < 0 ? "was ended by a signal" : "failed with exit code " + std::to_string(*code), true);
    } catch (...) {
      detail::wipe(answer);
      throw;
    }
    return answer;
  }

  pid_t start(Descriptor& input, Descriptor& output) const {
    // Not a pipe: a program that does not read would end this one with SIGPIPE.
    int in[2];
    int out[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0) fail(std::strerror(errno));
    input = Descriptor(in[0]);
    const Descriptor childs_input(in[1]);
    if (::pipe2(out, O_CLOEXEC) != 0) fail(std::strerror(errno));
    output = Descriptor(out[0]);
    const Descriptor childs_output(out[1]);

    SpawnArguments spawn;
    ::posix_spawn_file_actions_adddup2(&spawn.actions, childs_input.get(), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&spawn.actions, childs_output.get(), STDOUT_FILENO);
    if (!options_.show_errors) {
      ::posix_spawn_file_actions_addopen(&spawn.actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    }
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 34)
    ::posix_spawn_file_actions_addclosefrom_np(&spawn.actions, STDERR_FILENO + 1);
#endif
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&spawn.attributes, &none);
    ::posix_spawnattr_setsigdefault(&spawn.attributes, &all);
    ::posix_spawnattr_setpgroup(&spawn.attributes, 0);
    ::posix_spawnattr_setflags(&spawn.attributes,
                               POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<char*> arguments;
    for (const std::string& argument : options_.argv) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    pid_t pid = 0;
    const int error = ::posix_spawnp(&pid, arguments[0], &spawn.actions, &spawn.attributes, arguments.data(), environ);
    if (error != 0) fail(std::string("cannot be started: ") + std::strerror(error));
    return pid;
  }

  /// Writes the question while it reads the answer: either may be longer than what the system keeps for the other.
  void exchange(std::string_view question, Descriptor& input, const Descriptor& output, Clock::time_point deadline,
                std::string& answer) const {
    for (;;) {
      if (question.empty()) input.close();
      std::array<pollfd, 2> polled{{{output.get(), POLLIN, 0}, {input.get(), POLLOUT, 0}}};
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) fail("did not answer in time", true);
      const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(std::min<long>(left + 1, 60'000)));
      if (ready < 0 && errno != EINTR) fail(std::strerror(errno));
      if (ready <= 0) continue;
      if (input.get() >= 0 && polled[1].revents != 0) {
        const ssize_t sent = ::send(input.get(), question.data(), question.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
          question.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
          question = {};  // It reads no more; its answer tells whether that matters.
        }
      }
      if (polled[0].revents != 0) {
        std::array<char, 4096> buffer;
        const ssize_t got = ::read(output.get(), buffer.data(), buffer.size());
        if (got < 0 && errno != EINTR) fail(std::strerror(errno));
        if (got == 0) return;
        if (got > 0) answer.append(buffer.data(), static_cast<std::size_t>(got));
        ::explicit_bzero(buffer.data(), buffer.size());
        if (answer.size() > answer_bytes - buffer.size()) fail("its answer is too long");
      }
    }
  }

  KeyCommandOptions options_;
};

}  // namespace

std::unique_ptr<KeyProvider> command_key_provider(KeyCommandOptions options) {
  return std::make_unique<KeyCommand>(std::move(options));
}

}  // namespace stele
