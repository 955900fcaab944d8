// Waits for what the notifiers of all processes send.
#pragma once

#include <memory>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::postgres {

/// LISTENs on a connection of its own, which it makes again when it was lost.
class Listener final : public driver::AppendListener {
 public:
  explicit Listener(const Settings& settings) : settings_(settings) {}

  bool wait(std::chrono::milliseconds timeout) noexcept override;

 private:
  bool connect();
  bool take_notifications();

  const Settings settings_;
  std::unique_ptr<Session> session_;
  std::chrono::steady_clock::time_point next_try_{};
};

}  // namespace stele::postgres
