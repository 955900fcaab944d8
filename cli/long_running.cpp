#include "long_running.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>

#include "exit_codes.h"
#include "output.h"

namespace stele::cli {
namespace {

constexpr int look_interval_ms = 500;
constexpr std::chrono::seconds repeat_interval{60};

// A byte in it is the end. For a signal's handler it has to be global.
std::array<int, 2> ending_pipe{-1, -1};

void wake() noexcept {
  const int error = errno;
  constexpr char byte = 0;
  [[maybe_unused]] const ssize_t written = ::write(ending_pipe[1], &byte, 1);  // If it is full, it has been said.
  errno = error;
}

}  // namespace

Ending::Ending(bool prints) : prints_(prints) {
  if (::pipe2(ending_pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw CommandFailure(exit_failed, "cannot make a pipe");
  struct sigaction action {};
  action.sa_handler = [](int) { wake(); };
  action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

Ending::~Ending() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  for (int& end : ending_pipe) {
    ::close(end);
    end = -1;
  }
}

void Ending::reached() noexcept {
  wake();
}

void Ending::wait(const std::function<bool()>& over) {
  // Of standard output only errors are asked for, and those are always told.
  std::array<pollfd, 2> watched{{{ending_pipe[0], POLLIN, 0}, {prints_ ? STDOUT_FILENO : -1, 0, 0}}};
  while (!over()) {
    if (::poll(watched.data(), watched.size(), look_interval_ms) <= 0) continue;
    if (watched[0].revents != 0) return;
    if ((watched[1].revents & (POLLERR | POLLHUP)) != 0) throw OutputError(EPIPE, "standard output was closed");
  }
}

std::function<void(const Error&)> trouble_reporter(const Context& context) {
  struct State {
    std::mutex mutex;
    std::string text;
    std::chrono::steady_clock::time_point when;
  };
  return [&context, state = std::make_shared<State>()](const Error& error) {
    if (context.quiet) return;
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(state->mutex);
    if (state->text == error.message() && now - state->when < repeat_interval) return;
    state->text = error.message();
    state->when = now;
    if (context.json) {
      nlohmann::ordered_json object;
      object["error"] = to_string(error.code());
      object["message"] = error.message();
      object["trying_again"] = true;
      message(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
      message("stele: " + printable(error.message()) + "; trying again");
    }
  };
}

}  // namespace stele::cli
