// Notices what is appended, by asking: SQL Server tells nobody.
#pragma once

#include <memory>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::mssql {

/// Asks how far the log is settled, on a connection of its own, which it makes again when it was lost: often while
/// something is appended, and ever less often when nothing is.
class Listener final : public driver::AppendListener {
 public:
  explicit Listener(const Settings& settings) : settings_(settings) {}

  bool wait(std::chrono::milliseconds timeout) noexcept override;

 private:
  bool look();

  const Settings settings_;
  std::unique_ptr<Session> session_;
  std::int64_t known_ = -1;             // What was settled at the last look.
  std::chrono::milliseconds pause_{0};  // Between this look and the next.
  std::chrono::steady_clock::time_point next_look_{};
};

}  // namespace stele::mssql
