# What `cmake --install` adds so that others find Stele with find_package(stele).

include(CMakePackageConfigHelpers)

set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/stele")

install(
  EXPORT steleTargets
  NAMESPACE stele::
  DESTINATION "${config_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/steleConfig.cmake.in" "${PROJECT_BINARY_DIR}/steleConfig.cmake"
                              INSTALL_DESTINATION "${config_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/steleConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/steleConfig.cmake" "${PROJECT_BINARY_DIR}/steleConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindSOCI.cmake" "${PROJECT_SOURCE_DIR}/cmake/FindHiredis.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindRE2.cmake" DESTINATION "${config_dir}")
