#include "worker_process.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace stele::testing {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "stele-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

WorkerProcess::WorkerProcess(std::vector<std::string> arguments) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("cannot make a pipe");
  std::vector<char*> argv;
  std::string program = STELE_FAULT_WORKER;
  argv.push_back(program.data());
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(ends[1]);
  pipe_ = ends[0];
  if (pid_ < 0) throw std::runtime_error("cannot start the worker");
}

WorkerProcess::~WorkerProcess() {
  if (pid_ > 0) kill();
  close_pipe();
}

void WorkerProcess::close_pipe() {
  if (pipe_ >= 0) close(pipe_);
  pipe_ = -1;
}

void WorkerProcess::wait_for_lines(std::ptrdiff_t lines) {
  char buffer[4096];
  while (std::count(output_.begin(), output_.end(), '\n') < lines) {
    const ssize_t got = read(pipe_, buffer, sizeof buffer);
    if (got <= 0) return;
    output_.append(buffer, static_cast<std::size_t>(got));
  }
}

void WorkerProcess::read_all() {
  char buffer[65536];
  for (;;) {
    const ssize_t got = read(pipe_, buffer, sizeof buffer);
    if (got <= 0) return;
    output_.append(buffer, static_cast<std::size_t>(got));
  }
}

void WorkerProcess::kill() {
  ::kill(pid_, SIGKILL);
  wait();
}

int WorkerProcess::wait() {
  read_all();
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::vector<std::string> WorkerProcess::lines() const {
  std::vector<std::string> lines;
  std::size_t from = 0;
  for (std::size_t end = output_.find('\n'); end != std::string::npos; end = output_.find('\n', from)) {
    lines.push_back(output_.substr(from, end - from));
    from = end + 1;
  }
  return lines;
}

}  // namespace stele::testing
