// The same statements as the floor, through SOCI's reused prepared statements: what the store would cost if its
// statements were SOCI's. See docs/decisions/0001.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "floor_sqlite.h"

namespace stele::bench {

/// One INSERT for each event, one transaction for each append.
class SociWriter {
 public:
  explicit SociWriter(const std::filesystem::path& path);
  ~SociWriter();
  void append(std::string_view stream_id, std::span<const SampleEvent> events);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads the log into the same struct as the floor.
class SociReader {
 public:
  explicit SociReader(const std::filesystem::path& path);
  ~SociReader();
  std::size_t read_log(const FloorReader::Consume& consume);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stele::bench
