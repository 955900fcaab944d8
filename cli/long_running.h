// Commands that go on until they are told to stop, while threads of the library do the work.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "command_line.h"
#include "stele/error.h"

namespace stele::cli {

/// The end of such a command. One at a time.
class Ending {
 public:
  /// From now on SIGINT and SIGTERM are an end like any other; a second one ends the program at once. `prints`: so is
  /// that nobody reads standard output any more.
  explicit Ending(bool prints);
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  ~Ending();

  /// The work is done. From any thread.
  void reached() noexcept;

  /// Returns after reached(), a signal, or when `over`, which is asked twice a second, says so. Throws OutputError as
  /// soon as the reader of standard output has gone away, if the command prints there.
  void wait(const std::function<bool()>& over);

 private:
  const bool prints_;
};

/// Tells on standard error what went wrong and is tried again; the same text once a minute. For callbacks from any
/// thread. The context must outlive it.
std::function<void(const Error&)> trouble_reporter(const Context& context);

}  // namespace stele::cli
