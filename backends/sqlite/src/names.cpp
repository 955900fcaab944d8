#include "names.h"

#include "errors.h"
#include "session.h"

namespace stele::sqlite {
namespace {
// Names are few by nature. Where a caller makes them up by the million, the cache starts anew instead of growing.
constexpr std::size_t max_cached = 100'000;
}  // namespace

std::optional<std::int64_t> Names::find(std::string_view name) {
  if (const auto found = numbers_.find(name); found != numbers_.end()) return found->second;
  const Use query = session_.use("SELECT name_no FROM names WHERE name = ?1");
  query->bind(1, name);
  if (!query->step()) return std::nullopt;
  const std::int64_t number = query->int64(0);
  remember(number, name);
  return number;
}

std::int64_t Names::find_or_add(std::string_view name) {
  if (const auto found = find(name)) return *found;
  const Use insert = session_.use("INSERT INTO names (name) VALUES (?1) RETURNING name_no");
  insert->bind(1, name);
  insert->step();
  const std::int64_t number = insert->int64(0);
  remember(number, name);
  return number;
}

const std::string& Names::name(std::int64_t number) {
  if (const auto found = names_.find(number); found != names_.end()) return found->second;
  const Use query = session_.use("SELECT name FROM names WHERE name_no = ?1");
  query->bind(1, number);
  if (!query->step())
    throw make_error(ErrorCode::corrupt, "the name with number " + std::to_string(number) + " is missing");
  remember(number, query->text(0));
  return names_.at(number);
}

void Names::remember(std::int64_t number, std::string_view name) {
  if (numbers_.size() >= max_cached || names_.size() >= max_cached) forget();
  numbers_.emplace(name, number);
  names_.emplace(number, name);
}

void Names::forget() noexcept {
  numbers_.clear();
  names_.clear();
}

}  // namespace stele::sqlite
