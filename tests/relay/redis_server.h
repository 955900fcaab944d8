// A Redis server of a test's own.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace stele::testing {

/// Listens on loopback, on a free port, and keeps what it acknowledges (AOF with fsync). Gone with the object.
class RedisServer {
 public:
  /// Whether the program is there.
  static bool is_installed();

  explicit RedisServer(std::vector<std::string> settings = {});
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;
  ~RedisServer();

  void start();                         ///< Again, with the data that is there. Returns when it answers.
  void kill();                          ///< As if the machine's power failed.
  bool tells_what_was_deleted() const;  ///< Redis 7 and later.
  int port() const noexcept { return port_; }
  /// "redis://127.0.0.1:port/?stream=events" with `more` behind it.
  std::string url(const std::string& more = "", const std::string& user = "") const;

  /// Sends a command on a connection of its own; returns the reply's texts, nested ones in a row. Throws
  /// std::runtime_error with the text of an error.
  std::vector<std::string> command(const std::vector<std::string>& words) const;

 private:
  bool answers() const;

  std::vector<std::string> settings_;
  std::string folder_;
  int port_ = 0;
  pid_t process_ = -1;
};

}  // namespace stele::testing
