// Places in JSON documents, named by JSON Pointers.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stele/export.h"

namespace stele {

namespace detail {
class PointerTree;
}

/// A list of JSON Pointers (RFC 6901) in which the token `*` stands for every element of an array and every member of
/// an object: "/customer/ssn", "/lines/*/note". "" is the whole document. What is not there is not an error: a pointer
/// names what it finds. A value within another that is named as well goes with the outer one. A member whose name is
/// "*" cannot be named alone.
///
/// Immutable; cheap to copy; any number of threads may use one.
class STELE_API JsonPointers {
 public:
  JsonPointers();  ///< Names nothing.
  /// Throws invalid_argument for what is no pointer, and for one of more tokens than a document may have levels.
  explicit JsonPointers(std::vector<std::string> pointers);

  const std::vector<std::string>& list() const noexcept;
  bool empty() const noexcept { return list().empty(); }

  /// Internal.
  const detail::PointerTree& tree() const noexcept { return *tree_; }

 private:
  std::shared_ptr<const detail::PointerTree> tree_;
};

}  // namespace stele
