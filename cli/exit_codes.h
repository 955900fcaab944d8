// What the program's exit code says, and which error leads to which: decided here and nowhere else.
#pragma once

#include <string>

#include "stele/error.h"

namespace stele::cli {

enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_usage = 2,
  exit_conflict = 3,
  exit_not_found = 4,
  exit_schema = 5,
  exit_connect = 6,
  exit_busy = 7,
  exit_integrity = 8,
};

ExitCode exit_code(ErrorCode code) noexcept;

/// The command line asks for something that makes no sense; exit code 2.
class UsageError : public std::exception {
 public:
  explicit UsageError(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

/// A command failed for a reason of its own, which is no Error of the store.
class CommandFailure : public std::exception {
 public:
  CommandFailure(ExitCode code, std::string message) : code_(code), message_(std::move(message)) {}
  ExitCode code() const noexcept { return code_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ExitCode code_;
  std::string message_;
};

}  // namespace stele::cli
