// What a handler threw, of which the database may have been the cause.
#pragma once

#include <exception>
#include <optional>

#include "stele/error.h"

namespace stele::soci_backend {

/// What `known(exception)` makes of an exception, of the one that is nested in it, and so on: the first that it knows.
template <class Known>
std::optional<Error> first_known(std::exception_ptr thrown, Known known) {
  while (thrown != nullptr) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      if (std::optional<Error> found = known(error)) return found;
      const auto* outer = dynamic_cast<const std::nested_exception*>(&error);
      thrown = outer == nullptr ? nullptr : outer->nested_ptr();
    } catch (...) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace stele::soci_backend
