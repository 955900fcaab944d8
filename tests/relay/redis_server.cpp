#include "redis_server.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <thread>

#include "../free_port.h"

namespace stele::testing {
namespace {

using std::chrono::steady_clock;

using Connection = std::unique_ptr<redisContext, decltype([](redisContext* context) { redisFree(context); })>;
using Reply = std::unique_ptr<redisReply, decltype([](redisReply* reply) { freeReplyObject(reply); })>;

void add_texts(const redisReply& reply, std::vector<std::string>& texts) {
  switch (reply.type) {
    case REDIS_REPLY_ERROR: throw std::runtime_error(std::string(reply.str, reply.len));
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS: texts.emplace_back(reply.str, reply.len); break;
    case REDIS_REPLY_INTEGER: texts.push_back(std::to_string(reply.integer)); break;
    case REDIS_REPLY_ARRAY:
      for (std::size_t i = 0; i < reply.elements; ++i) add_texts(*reply.element[i], texts);
      break;
    default: break;
  }
}

}  // namespace

bool RedisServer::is_installed() {
  return std::system("redis-server --version >/dev/null 2>&1") == 0;
}

RedisServer::RedisServer(std::vector<std::string> settings) : settings_(std::move(settings)), port_(free_port()) {
  std::string name = (std::filesystem::temp_directory_path() / "stele-redis-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for Redis");
  folder_ = name;
  start();
}

RedisServer::~RedisServer() {
  kill();
  std::filesystem::remove_all(folder_);
}

void RedisServer::start() {
  std::vector<std::string> words{"redis-server", "--port", std::to_string(port_), "--bind", "127.0.0.1",
                                 "--dir",        folder_,  "--appendonly",        "yes",    "--appendfsync",
                                 "always"};
  words.insert(words.end(), settings_.begin(), settings_.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  process_ = ::fork();
  if (process_ == 0) {
    const int nowhere = ::open("/dev/null", O_RDWR);
    ::dup2(nowhere, STDOUT_FILENO);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  const auto deadline = steady_clock::now() + std::chrono::seconds(60);
  while (!answers()) {
    if (steady_clock::now() > deadline || ::waitpid(process_, nullptr, WNOHANG) != 0) {
      throw std::runtime_error("Redis does not start");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void RedisServer::kill() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

std::string RedisServer::url(const std::string& more, const std::string& user) const {
  return "redis://" + user + "127.0.0.1:" + std::to_string(port_) + "/?stream=events" + more;
}

bool RedisServer::tells_what_was_deleted() const {
  command({"XADD", "a stream", "1-0", "a", "b"});
  const std::vector<std::string> info = command({"XINFO", "STREAM", "a stream"});
  command({"DEL", "a stream"});
  return std::find(info.begin(), info.end(), "max-deleted-entry-id") != info.end();
}

bool RedisServer::answers() const {
  try {
    command({"PING"});
    return true;
  } catch (const std::exception& error) {
    return std::string(error.what()).starts_with("NOAUTH");
  }
}

std::vector<std::string> RedisServer::command(const std::vector<std::string>& words) const {
  const Connection connection(redisConnect("127.0.0.1", port_));
  if (!connection || connection->err != 0) throw std::runtime_error("no connection");
  std::vector<const char*> texts;
  std::vector<std::size_t> lengths;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    lengths.push_back(word.size());
  }
  const Reply reply(static_cast<redisReply*>(
      redisCommandArgv(connection.get(), static_cast<int>(words.size()), texts.data(), lengths.data())));
  if (!reply) throw std::runtime_error(std::string("no reply: ") + static_cast<const char*>(connection->errstr));
  std::vector<std::string> made;
  add_texts(*reply, made);
  return made;
}

}  // namespace stele::testing
