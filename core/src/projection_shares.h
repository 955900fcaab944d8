// How the members of a group share its parts out among them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace stele::detail {

/// How many of a group's parts `member` is to have now. `held`: the parts of each who has some, by name. Everybody
/// decides alone, from the same table: who has too many gives one up, who has too few takes one that is free.
inline std::int32_t fair_share(const std::map<std::string, std::int32_t>& held, const std::string& member,
                               std::int32_t parts, std::int32_t members) {
  const std::int32_t least = parts / members;
  const std::int32_t may_have_one_more = parts % members;
  std::int32_t before = 0;  // Of those who have one more, those who may keep it before this one may.
  const auto own = held.find(member);
  const bool has_more = own != held.end() && own->second > least;
  for (const auto& [name, count] : held) {
    if (name != member && count > least && (!has_more || name < member)) ++before;
  }
  return before < may_have_one_more ? least + 1 : least;
}

}  // namespace stele::detail
