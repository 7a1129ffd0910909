package awsapi

// StagePaths is what tests compare texts with.
const StagePaths = stagePaths
